"""One folder of checkpoints, many pods: whole ones are left alone, and one process pulls while the others wait."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import build_app
from cluster.model_cache import pull_if_missing
from encoders.checkpoints import PROVENANCE_FILE, Checkpoint, find_checkpoint, pulled_folder
from encoders.errors import ModelUnavailable

MODEL = "nobody/nothing-2B"


def place(models_dir: Path) -> Checkpoint:
    folder = pulled_folder(MODEL, None, models_dir)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / PROVENANCE_FILE).write_text(f'{{"model": "{MODEL}", "revision": "abc", "asked_revision": "default"}}')
    return find_checkpoint(MODEL, None, models_dir)


def test_what_is_there_is_not_pulled(tmp_path: Path) -> None:
    placed = place(tmp_path)

    def pull() -> Checkpoint:
        raise AssertionError("pulled")

    assert pull_if_missing(MODEL, None, tmp_path, pull) == placed


def test_two_that_start_at_once_pull_once(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    pulls: list[int] = []
    results: list[Checkpoint] = []

    def pull() -> Checkpoint:
        pulls.append(1)
        second.start()
        second.join(timeout=0.2)
        assert second.is_alive(), "the second did not wait"
        return place(models_dir)

    second = threading.Thread(target=lambda: results.append(pull_if_missing(MODEL, None, models_dir, pull)))
    results.append(pull_if_missing(MODEL, None, models_dir, pull))
    second.join(timeout=10)
    assert pulls == [1]
    assert [checkpoint.revision for checkpoint in results] == ["abc", "abc"]


def test_a_pull_that_failed_leaves_the_way_free(tmp_path: Path) -> None:
    def fail() -> Checkpoint:
        raise ModelUnavailable("the source is away")

    with pytest.raises(ModelUnavailable, match="away"):
        pull_if_missing(MODEL, None, tmp_path, fail)
    assert pull_if_missing(MODEL, None, tmp_path, lambda: place(tmp_path)).revision == "abc"


def test_the_command_ends_at_once_where_the_model_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path))
    placed = place(tmp_path / "models")
    # An address that cannot be one: any attempt to pull ends in an error.
    command = ["model", "pull", MODEL, "--if-missing", "--endpoint", "nowhere"]
    answer = CliRunner().invoke(build_app(), command)
    assert answer.exit_code == 0, answer.output
    assert str(placed.folder) in answer.output.replace("\n", "")
    assert CliRunner().invoke(build_app(), ["model", "pull", MODEL, "--endpoint", "nowhere"]).exit_code != 0
    assert CliRunner().invoke(build_app(), [*command, "--to", str(tmp_path)]).exit_code == 2
