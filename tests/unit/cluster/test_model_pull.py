"""`crossray model pull` against a hub on loopback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster.cli import build_app
from encoders import ModelUnavailable
from encoders.checkpoints import find_checkpoint
from tests.unit.cluster.test_pull import COMMIT, FILES, Hub, hub

__all__ = ["hub"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


def test_what_was_pulled_is_where_serving_looks(hub: Hub, tmp_path: Path) -> None:
    command = ["model", "pull", "org/model", "--endpoint", hub.url, "--json"]
    result = CliRunner().invoke(build_app(), command, catch_exceptions=False)
    answer = json.loads(result.stdout)
    assert (answer["model"], answer["revision"]) == ("org/model", COMMIT)
    assert find_checkpoint("org/model", models_dir=tmp_path / "cache" / "models").revision == COMMIT
    size = sum(len(data) for name, data in FILES.items() if name != "README.md") / 1e6
    assert f"of {size:,.1f} MB" in result.stderr, "a line a file where there is no terminal"


def test_a_broken_pull_goes_on_into_a_folder_of_ones_choice(hub: Hub, tmp_path: Path) -> None:
    command = ["model", "pull", "org/model", "--revision", "v1", "--endpoint", hub.url, "--to", str(tmp_path / "here")]
    hub.cut_at = 1_000_000
    with pytest.raises(ModelUnavailable, match="pull again to go on"):
        CliRunner().invoke(build_app(), command, catch_exceptions=False)
    hub.cut_at = None
    result = CliRunner().invoke(build_app(), command, catch_exceptions=False)
    assert Path(result.stdout.strip()) == (tmp_path / "here").resolve()
    assert (tmp_path / "here" / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert any(asked is not None for asked in hub.ranges), "the second try asked for the rest only"


def test_no_network_is_an_error_that_says_what_to_do() -> None:
    command = ["model", "pull", "org/model", "--endpoint", "http://127.0.0.1:1"]
    with pytest.raises(ModelUnavailable, match=r"cannot be reached.*copy the folder"):
        CliRunner().invoke(build_app(), command, catch_exceptions=False)
