"""The Dockerfile, read: user, pins, sources. Building it is for a machine with an engine (k8s/README.md)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from manifest_files import K8S, ROOT

from cluster.manifests.pod_template import USER_ID
from cluster.telemetry import TELEMETRY_OFF

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()


def arguments(instruction: str) -> list[str]:
    """What follows an instruction, each time it stands there, in order."""
    return [line.split(maxsplit=1)[1] for line in INSTRUCTIONS if line.startswith(f"{instruction} ")]


def test_it_has_two_stages_of_one_base_that_can_be_chosen() -> None:
    assert arguments("FROM") == ["${BASE} AS build", "${BASE}"]
    (base,) = [argument for argument in arguments("ARG") if argument.startswith("BASE=")]
    assert re.search(r":[\w.-]+$", base)
    assert "latest" not in DOCKERFILE


def test_it_ends_as_the_user_that_pods_run_as() -> None:
    assert arguments("USER")[-1] == f"{USER_ID}:{USER_ID}"


def test_volumes_of_ones_own_can_be_written() -> None:
    """A new volume takes its owner from the folder of the image that it is mounted on."""
    (places,) = [run for run in arguments("RUN") if "mkdir" in run]
    folders = re.findall(r"CROSSRAY_(?:DATA|CACHE)_DIR=(\S+)", DOCKERFILE)
    assert f"mkdir {' '.join(folders)}" in places
    assert f"chown {USER_ID}:{USER_ID} {' '.join(folders)}" in places


def test_packages_are_those_of_the_lock() -> None:
    installs = [step for run in arguments("RUN") for step in run.split("&&") if "pip install" in step]
    assert len(installs) == 6
    for step in installs:
        assert "--constraint requirements.lock" in step or "--no-deps" in step or "grep '^torch=='" in step, step
    alone = re.search(r"^ALONE := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert alone is not None
    assert any(alone.group(1) in step for step in installs)


def test_every_package_is_copied_and_let_through_to_the_builder() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = [name.removesuffix("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    copied = [source for copy in arguments("COPY") if "--from" not in copy for source in copy.split()[:-1]]
    let_through = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert set(packages) <= set(copied)
    assert set(copied) == set(let_through)
    assert all((ROOT / source).exists() for source in copied)


def test_the_extras_are_those_there_are() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = [argument.removeprefix("EXTRAS=") for argument in arguments("ARG") if argument.startswith("EXTRAS=")]
    assert set(asked.split(",")) <= extras.keys()


def test_it_phones_nobody() -> None:
    (variables,) = [line for line in arguments("ENV") if "PYTHONUNBUFFERED" in line]
    for name, value in TELEMETRY_OFF.items():
        assert f"{name}={value}" in variables


@pytest.mark.parametrize("path", [ROOT / "Dockerfile", *sorted(K8S.rglob("*.yaml"))], ids=lambda path: path.name)
def test_no_secret_and_no_index_is_written_down(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"pypi|index-url[= ]https?:|simple/|--trusted-host", text)
    assert "kind: Secret\n" not in text
