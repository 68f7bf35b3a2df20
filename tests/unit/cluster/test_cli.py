"""The command line as a whole: help, misuse, errors, and what it loads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cluster.cli import build_app, main
from cluster.telemetry import TELEMETRY_OFF


def leaves(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by what a person types, without the program's name."""
    for word, command in group.commands.items():
        yield from leaves(command, f"{name}{word} ") if hasattr(command, "commands") else [(f"{name}{word}", command)]


ROOT = get_command(build_app())
COMMANDS = dict(leaves(ROOT))
HELPS = {name: command.help or "" for name, command in (COMMANDS | ROOT.commands).items()}  # type: ignore[attr-defined]
HEAVY = ("numpy", "torch", "ray", "httpx", "httpx2", "fastapi", "faiss", "PIL", "pyarrow", "matplotlib")
"""Pydantic is not among them: typer loads it by itself."""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_examples_and_offers_json(command: str) -> None:
    answer = CliRunner().invoke(build_app(), [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    usage, _, examples = answer.output.partition("Examples")
    assert f"Usage: crossray {command}" in usage.replace("Usage: root", "Usage: crossray")
    assert f"crossray {command}" in examples
    assert "--json" in examples.partition("Options")[2]


@pytest.mark.parametrize("command", HELPS)
def test_an_example_has_a_line_of_its_own(command: str) -> None:
    answer = CliRunner().invoke(build_app(), [*command.split(), "--help"], env={"COLUMNS": "200"})
    shown = {line.strip() for line in answer.output.splitlines()}
    written = re.findall(r"^ *(crossray .*)$", HELPS[command], re.MULTILINE)
    assert written
    assert [line for line in written if line.strip() not in shown] == []


@pytest.mark.parametrize("command", ["up", "doctor", "eval"])
def test_a_command_that_loads_models_takes_a_profile(command: str) -> None:
    answer = CliRunner().invoke(build_app(), [command, "--help"])
    assert "--profile" in answer.output.partition("Options")[2]


def test_doctor_looks_at_the_profile_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path / "cache"))
    answer = CliRunner().invoke(build_app(), ["doctor", "--profile", "qwen", "--json"])
    checks = {check["name"]: check for check in json.loads(answer.stdout)["checks"]}
    assert checks["encoder"]["mend"] == "crossray model pull Qwen/Qwen3-VL-Embedding-2B"


@pytest.mark.parametrize("arguments", [["--help"], ["index", "--help"], ["search", "--help"], ["eval", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """What makes a command slow to answer is what it imports."""
    code = (
        "import sys\n"
        "from cluster.cli import build_app, main\n"
        "try:\n"
        f"    build_app()({arguments!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_every_command_switches_telemetry_off_before_anything_is_loaded() -> None:
    """What the Hugging Face library itself made of it; Ray reads its variable when a cluster starts."""
    code = (
        "import os, sys\n"
        "from cluster.cli import main\n"
        "sys.argv = ['crossray', 'model', 'list']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "from huggingface_hub import constants\n"
        f"print(constants.HF_HUB_DISABLE_TELEMETRY, *(os.environ.get(name) for name in {list(TELEMETRY_OFF)}))\n"
    )
    loud = {name: value for name, value in os.environ.items() if name not in TELEMETRY_OFF}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=loud)
    assert done.stdout.splitlines()[-1].split() == ["True", *TELEMETRY_OFF.values()]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["search"], 2, "give a text"),
        (["search", "x", "--id", "y"], 2, "give a text"),
        (["search", "x", "--top-k", "0"], 2, "top-k"),
        (["search", "x", "--no-rerank", "--rerank-depth", "5"], 2, "--no-rerank"),
        (["search", "x", "--rewrite", "better"], 2, "template"),
        (["index"], 2, "give files or folders"),
        (["eval", "/nowhere-at-all"], 2, "does not exist"),
        (["search", "x", "--filter", "oops"], 1, "--filter"),
        (["search", "x", "--url", "http://127.0.0.1:9"], 1, "crossray up --detach"),
        (["search", "x", "--url", "gopher://there"], 1, "no Crossray answers"),
        (["index", "/nowhere-at-all"], 1, "no file or folder"),
        (["eval", "."], 1, "captions.jsonl"),
        (["eval", "{dataset}", "--encoder", "nonesuch"], 1, "no encoder called 'nonesuch'"),
        (["eval", "{dataset}", "--encoder", "fake", "--option", "dim=3"], 1, "at least 16 columns"),
        (["eval", "{dataset}", "--encoder", "fake", "--option", "sides=3"], 1, "sides"),
        (["eval", "{dataset}", "--encoder", "fake", "--option", "dim"], 2, "key=value"),
        (["eval", "{dataset}", "--encoder", "dual-tower"], 1, "--option model=… is missing"),
        (["eval", "{dataset}", "--encoder", "fake", "--rerank", "qwen3-vl-reranker"], 1, "--rerank-option model=…"),
        (["eval", "{dataset}", "--rewrite", "template", "--rewrite-model", "x"], 2, "--rewrite model"),
        (["eval", "{dataset}", "--rerank-depth", "5"], 2, "it needs --rerank"),
        (["eval", "{dataset}", "--rerank-option", "model=x"], 2, "it needs --rerank"),
        (["doctor", "--encoder", "qwen3-vl"], 1, "encoder.options.model is missing"),
        (["doctor", "--nonesuch"], 2, "nonesuch"),
    ],
)
def test_an_error_is_said_without_a_traceback(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "captions.jsonl").write_text('{"image": "a.png", "en": ["a"]}', encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"never read")
    monkeypatch.setattr(sys, "argv", ["crossray", *(text.format(dataset=tmp_path) for text in arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert end.value.code == code
    assert says in printed.err
    assert printed.out == ""
    if code == 1:
        assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "value"), [("HTTP__SCALE__MAX_REPLICAS", "2"), ("IMAGES__MAX_PIXELS", "90000000")]
)
def test_settings_that_cannot_be_served_end_before_anything_starts(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv(f"CROSSRAY_{variable}", value)
    monkeypatch.setattr(sys, "argv", ["crossray", "up", "--profile", "fake"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert variable.split("__")[-1].lower() in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cluster.terms.parse_filter_text", broken)
    monkeypatch.setattr(sys, "argv", ["crossray", "search", "x", "--filter", "y=1"])
    with pytest.raises(ZeroDivisionError):
        main()
