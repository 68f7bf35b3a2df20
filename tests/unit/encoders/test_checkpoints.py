"""Which checkpoint a name means, and that two trainings never pass for each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from encoders import ModelUnavailable
from encoders.checkpoints import digest, find_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"w" * 1_000_000)
    return folder


def test_a_folder_goes_by_its_name_and_its_contents(folder: Path) -> None:
    found = find_checkpoint(str(folder))
    assert (found.model, found.revision) == ("my-model", digest(folder))
    assert find_checkpoint(str(folder), found.revision) == found
    with pytest.raises(ModelUnavailable, match="not the 0123"):
        find_checkpoint(str(folder), "0123")


def test_other_weights_are_another_revision(folder: Path) -> None:
    before = digest(folder)
    (folder / "notes.md").write_text("says nothing about the weights")
    assert digest(folder) == before
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] = 0
    (folder / "model.safetensors").write_bytes(weights)
    assert digest(folder) != before


def test_what_is_not_here_is_never_fetched_but_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="Run  crossray model pull Qwen/Qwen3-VL-Embedding-2B --revision abc "):
        find_checkpoint("Qwen/Qwen3-VL-Embedding-2B", "abc", tmp_path)
    with pytest.raises(ModelUnavailable, match="crossray model pull modelscope://Qwen/Some"):
        find_checkpoint("modelscope://Qwen/Some", models_dir=tmp_path)
    with pytest.raises(ModelUnavailable, match=r"there is no folder \./nowhere"):
        find_checkpoint("./nowhere", models_dir=tmp_path)
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        find_checkpoint(str(tmp_path))
