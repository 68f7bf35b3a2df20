"""What the READMEs tell a reader to type works, in that order, against the real application over a socket."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from deployments.api import openapi
from tests.readme import ROOT, blocks, curls, run_curl
from tests.unit.client.conftest import picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader has the pictures that are spoken of."""
    for name, colour in (("cat.jpg", "orange"), ("query.jpg", "orange")):
        (tmp_path / name).write_bytes(picture(colour))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.jpg", picture("orange"))
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_every_curl_works(url: str, folder: Path, page: str) -> None:
    for command in curls(ROOT / page):
        if "collection" in command:
            continue  # what is served here has no catalog: a real cluster runs these
        answer = run_curl(command, url.removeprefix("http://"), folder)
        assert '"error"' not in answer, f"{command}\n{answer}"
    if page == "docs/api.md":
        assert (folder / "same.jpg").read_bytes() == (folder / "cat.jpg").read_bytes()


def method_of(command: str) -> str:
    """What curl sends."""
    named = re.search(r"-X (\w+)", command)
    return named[1] if named else "POST" if re.search(r" -[dF] ", command) else "GET"


def test_every_call_has_a_curl() -> None:
    commands = [(method_of(command), command) for command in curls(ROOT / "docs/api.md")]
    for path, calls in openapi()["paths"].items():
        pattern = re.compile(r"127\.0\.0\.1:8000" + re.sub(r"\\{\w+\\}", r"[\\w-]+", re.escape(path)) + r"(?=[\s'?]|$)")
        for method in calls:
            shown = [one for sent, one in commands if sent == method.upper() and pattern.search(one)]
            assert shown, f"docs/api.md has no curl for {method.upper()} {path}"


def test_the_clients_examples_work(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    codes = blocks(ROOT / "clients/python/README.md", "python")
    assert len(codes) == 2
    for code in codes:
        exec(compile(code.replace("http://127.0.0.1:8000", url), "README.md", "exec"), {})
