"""What the READMEs tell a reader to type works, in that order, against the real application over a socket."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.readme import ROOT, blocks, curls, run_curl
from tests.unit.client.conftest import picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader has the pictures that are spoken of."""
    for name, colour in (("cat.jpg", "orange"), ("query.jpg", "orange")):
        (tmp_path / name).write_bytes(picture(colour))
    return tmp_path


def test_every_curl_works(url: str, folder: Path) -> None:
    for command in curls(ROOT / "README.md"):
        answer = run_curl(command, url.removeprefix("http://"), folder)
        assert '"error"' not in answer, f"{command}\n{answer}"
    assert (folder / "same.jpg").read_bytes() == (folder / "cat.jpg").read_bytes()


def test_every_call_has_a_curl(url: str) -> None:
    commands = curls(ROOT / "README.md")
    for path, calls in httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"].items():
        pattern = re.compile(r"127\.0\.0\.1:8000" + re.sub(r"\\{\w+\\}", r"\\w+", re.escape(path)) + r"(?=[\s'?]|$)")
        shown = [command for command in commands if pattern.search(command)]
        assert shown, f"no curl for {path}"
        assert ("delete" not in calls) or any("-X DELETE" in command for command in shown), path


def test_the_clients_example_works(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (code,) = blocks(ROOT / "clients/python/README.md", "python")
    exec(compile(code.replace("http://127.0.0.1:8000", url), "README.md", "exec"), {})
