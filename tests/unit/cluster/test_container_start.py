"""The documented `docker run`: what it says to the image, and what the image's command does with it, in a real process
that ends where Ray would start. The image itself is run by `k8s/check_image.sh`."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.keys.api_key import id_of
from encoders.checkpoints import find_checkpoint
from tests.readme import ROOT, blocks
from tests.unit.cluster.test_pull import Hub, hub

__all__ = ["hub"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
FIRST_KEY = re.compile(r"first API key, of scope admin, shown this once: (\S+)")


@dataclass(frozen=True)
class Run:
    """A `docker run`, taken apart."""

    options: list[tuple[str, str]]
    image: str
    command: list[str]

    def all(self, name: str) -> list[str]:
        return [value for option, value in self.options if option == name]


def documented() -> list[Run]:
    texts = [block.replace("\\\n", " ") for block in blocks(ROOT / "docs/quick-start.md")]
    return [parse(line) for text in texts for line in text.splitlines() if line.startswith("docker run ")]


def parse(line: str) -> Run:
    words = iter(shlex.split(line)[2:])
    options: list[tuple[str, str]] = []
    for word in words:
        if not word.startswith("-"):
            return Run(options, word, list(words))
        name, equals, value = word.partition("=")
        options.append((name, value if equals else next(words)))
    raise AssertionError(f"no image in {line}")


def image_variables() -> dict[str, str]:
    return dict(re.findall(r"^ +(CROSSRAY_\w+)=(\S+)", DOCKERFILE, re.MULTILINE))


def image_command() -> list[str]:
    (command,) = re.findall(r"^CMD \[(.*)\]$", DOCKERFILE, re.MULTILINE)
    return shlex.split(command.replace(",", " "))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def start(command: list[str], tmp_path: Path, port: int, **variables: str) -> subprocess.CompletedProcess[str]:
    """The image's command with the image's variables, but for folders and the port, which another server has."""
    own = {"CROSSRAY_DATA_DIR": f"{tmp_path}/data", "CROSSRAY_CACHE_DIR": f"{tmp_path}/cache"}
    environment = image_variables() | own | {"CROSSRAY_HTTP__PORT": str(port), "PATH": "", "HOME": str(tmp_path)}
    assert command[0] == "crossray"
    return subprocess.run(
        [sys.executable, "-m", "cluster.cli", *command[1:]],
        env=environment | {"PYTHONPATH": ":".join(sys.path)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("run", documented(), ids=lambda run: run.image)
def test_the_documented_commands_fit_the_image(run: Run) -> None:
    port = image_variables()["CROSSRAY_HTTP__PORT"]
    assert run.all("-p") == [f"{port}:{port}"]
    assert f"EXPOSE {port}" in DOCKERFILE
    assert re.fullmatch(r"\d+g", run.all("--shm-size")[0])
    mounted = [mount.split(":")[1] for mount in run.all("-v")]
    assert mounted == [image_variables()["CROSSRAY_DATA_DIR"], image_variables()["CROSSRAY_CACHE_DIR"]]
    assert f"docker build -t {run.image} " in DOCKERFILE
    assert "--first-key" in (run.command or image_command())


def test_one_of_them_is_for_a_gpu() -> None:
    gpu = documented()[0]
    assert gpu.all("--gpus") == ["all"]
    assert gpu.all("--shm-size") == ["16g"]
    assert gpu.image.endswith("-cuda")


def test_the_first_start_pulls_makes_a_key_and_the_second_does_neither(
    hub: Hub, taken_port: int, tmp_path: Path
) -> None:
    command = documented()[0].command
    own = {"HF_ENDPOINT": hub.url, "CROSSRAY_ENCODER__OPTIONS": '{"model": "org/model"}'}
    first = start(command, tmp_path, taken_port, **own)
    assert f"0.0.0.0:{taken_port} is taken" in first.stderr, "it goes as far as Ray"
    assert find_checkpoint("org/model", models_dir=tmp_path / "cache" / "models").model == "org/model"
    (key,) = FIRST_KEY.findall(" ".join(first.stderr.split()))
    assert id_of(key) is not None
    asked = len(hub.tokens)
    second = start(command, tmp_path, taken_port, **own)
    assert f"0.0.0.0:{taken_port} is taken" in second.stderr
    assert len(hub.tokens) == asked, "the hub is not asked again"
    assert not FIRST_KEY.search(second.stderr)


def test_what_cannot_be_pulled_ends_the_start_with_the_reason(taken_port: int, tmp_path: Path) -> None:
    ended = start(documented()[0].command, tmp_path, taken_port, HF_ENDPOINT="http://127.0.0.1:1")
    assert ended.returncode == 1
    assert "cannot be reached" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
