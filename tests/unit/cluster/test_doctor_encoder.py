"""`crossray doctor --encoder`: compares with shipped or recorded vectors, and exits 1 when one has moved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cluster.cli import build_app
from cluster.doctor_encoder import GOLDEN_FOLDER, examine_encoder
from cluster.errors import ClusterError
from cluster.settings import Settings, load_settings
from encoders.fake import FakeEncoder
from encoders.golden import record, save_golden


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(tmp_path))
    return tmp_path


def crossray(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


@pytest.fixture
def other_fake(data_dir: Path) -> Settings:
    """A fake encoder of another width: nothing was shipped for it."""
    settings = load_settings("fake")
    encoder = settings.encoder.model_copy(update={"options": {"dim": 32}})
    return settings.model_copy(update={"encoder": encoder})


def test_the_shipped_vectors_are_compared_with(data_dir: Path) -> None:
    answer = crossray("doctor", "--encoder", "fake", "--json")
    assert answer.exit_code == 0, answer.output
    content = json.loads(answer.stdout)
    assert (content["ok"], content["golden"], content["differing"]) == (True, "shipped", [])
    assert content["inputs"]["disc"]["cosine"] > content["inputs"]["disc"]["nearest_other"]
    assert not (data_dir / GOLDEN_FOLDER).exists()
    table = crossray("doctor", "--encoder", "fake")
    assert "zh-sentence" in table.output
    assert "moved" not in table.output


def test_without_shipped_vectors_the_first_run_records_and_the_next_compares(other_fake: Settings) -> None:
    assert examine_encoder(other_fake, "fake").source == "recorded now"
    check = examine_encoder(other_fake, "fake")
    assert (check.source, check.report.ok) == ("recorded earlier", True)


def test_a_moved_vector_exits_with_1_and_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_PROFILE", "fake")
    monkeypatch.setenv("CROSSRAY_ENCODER__OPTIONS", '{"dim": 32}')
    golden = record(FakeEncoder(dim=32))
    moved = dict(golden.vectors) | {"disc": np.roll(golden.vectors["disc"], 1)}
    save_golden(type(golden)(golden.contract, moved), data_dir / GOLDEN_FOLDER)
    answer = crossray("doctor", "--encoder", "--json")
    assert answer.exit_code == 1, answer.output
    assert json.loads(answer.stdout)["differing"] == ["disc"]
    table = crossray("doctor", "--encoder")
    assert table.exit_code == 1
    assert "moved" in table.output


def test_a_damaged_file_says_what_to_do(other_fake: Settings) -> None:
    examine_encoder(other_fake, "fake")
    (path,) = (other_fake.data_dir / GOLDEN_FOLDER).iterdir()
    path.write_text("{")
    with pytest.raises(ClusterError, match="delete the file"):
        examine_encoder(other_fake, "fake")


def test_a_name_without_the_option_is_a_mistake() -> None:
    assert crossray("doctor", "fake").exit_code == 2
