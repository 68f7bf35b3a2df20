"""The documentation: it builds without a warning, asks for nothing from elsewhere, and says what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

from cluster.cli import build_app
from cluster.settings import Settings
from deployments.api import openapi
from deployments.errors import ERRORS
from tests.readme import ROOT, blocks

PAGES = [ROOT / "README.md", ROOT / "k8s/README.md", ROOT / "clients/python/README.md", *sorted(ROOT.glob("docs/*.md"))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages: a warning of Sphinx's ends the build."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{out}-doctrees"]
    built = subprocess.run([*command, "docs", str(out)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    return out


class Requests(HTMLParser):
    """The addresses that a browser asks for by itself when it shows a page; links wait for a click."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data") or (name == "href" and tag in ("link", "use", "image")):
                self.asked.append(value or "")


def requests_of(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        parser = Requests()
        parser.feed(text)
        yield from parser.asked
    yield from re.findall(r"url\(\s*[\"']?([^)\"']+)", text)
    yield from re.findall(r"@import\s+[\"']([^\"']+)", text)
    yield from re.findall(r"(?:fetch|importScripts|import)\(\s*[\"'`](\w+:?//[^\"'`]+)", text)


def test_no_page_asks_for_anything_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")]
    asked = {(path.name, one) for path in files for one in requests_of(path)}
    assert len(asked) > 20
    assert [one for one in asked if re.match(r"(?:\w+:)?//", one[1])] == []


def test_every_page_is_in_the_site(site: Path) -> None:
    names = {path.stem for path in ROOT.glob("docs/*.md")}
    assert names > {"api", "concepts", "operations", "quick-start", "scale"}
    assert [name for name in names if not (site / f"{name}.html").exists()] == []


def leaves(section: Any, path: str = "") -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        yield from leaves(value, f"{path}{name}.") if isinstance(value, BaseModel) else [f"{path}{name}"]


def test_references_have_all_that_the_code_has(site: Path) -> None:
    def page(name: str) -> str:
        return (site / f"reference/{name}.html").read_text(encoding="utf-8")

    settings, errors, calls, commands = (page(name) for name in ("settings", "errors", "api", "commands"))
    assert [name for name in leaves(Settings.model_construct()) if f">{name}<" not in settings] == []
    assert [row.code for row in ERRORS.values() if row.code not in errors] == []
    assert [path for path in openapi()["paths"] if path not in calls] == []
    assert [name for name in known_commands() if f">crossray {name}<" not in commands] == []
    assert "crossray_canary_recall" in page("metrics")


def known_commands() -> dict[str, Any]:
    """Every command by what a person types."""
    found: dict[str, Any] = {}

    def walk(group: Any, before: str) -> None:
        for word, command in group.commands.items():
            found[f"{before}{word}"] = command
            if hasattr(command, "commands"):
                walk(command, f"{before}{word} ")

    walk(get_command(build_app()), "")
    return found


def told_commands() -> Iterator[tuple[str, str]]:
    """Each `crossray …` that a page has in a block, as its file and what follows the name."""
    for path in PAGES:
        for block in blocks(path):
            for told in re.findall(r"(?:^|\$\(|/|&& )crossray ([a-z][^\n|)&#]*)", block, re.MULTILINE):
                yield path.name, told


def test_the_commands_that_pages_show_are_there_with_their_options() -> None:
    known = known_commands()
    shown = list(told_commands())
    assert len(shown) > 40
    for page, told in shown:
        words = told.split()
        name = next((name for name in (" ".join(words[:2]), words[0]) if name in known), None)
        assert name is not None, f"{page}: crossray {told}"
        options = {option for one in known[name].params for option in (*one.opts, *one.secondary_opts)}
        assert set(re.findall(r"(?<= )--[\w-]+", told)) <= options, f"{page}: crossray {told}"


def test_the_settings_that_pages_name_are_there() -> None:
    known = set(leaves(Settings.model_construct()))
    branches = {name[: end.start()] for name in known for end in re.finditer(r"\.", name)}
    named = 0
    for page in PAGES:
        for told in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)(?::[^`]*)?`", page.read_text(encoding="utf-8")):
            if "options" in told.split(".") or re.search(
                r"\.(py|md|js|json|jsonl|yaml|html|toml|lock|tar|txt|zip|env)$", told
            ):
                continue
            named += 1
            assert any(f".{one}".endswith(f".{told}") for one in known | branches), f"{page.name}: {told}"
    assert named > 50
