"""Encoders beside the collection's: their settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.errors import SettingsError
from cluster.settings import load_settings


def test_an_encoder_beside_is_loaded_with_options_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    beside = [{"name": "qwen3-vl", "options": {"model": "a/b", "dimensions": 256}}, {"name": "starter"}]
    monkeypatch.setenv("CROSSRAY_OTHER_ENCODERS", json.dumps(beside))
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path))
    settings = load_settings("fake")
    first, second = settings.other_encoders
    assert settings.options_of(first.name, first) == {
        "limits": settings.image_limits,
        "models_dir": tmp_path / "models",
        "model": "a/b",
        "dimensions": 256,
    }
    assert settings.options_of(second.name, second) == {"limits": settings.image_limits, "cache_dir": tmp_path}
    assert list(settings.served_models) == ["encoder", "other_encoders.0", "other_encoders.1"]


def test_one_without_its_checkpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_OTHER_ENCODERS", '[{"name": "qwen3-vl"}]')
    with pytest.raises(SettingsError, match=r"other_encoders\.0\.options\.model"):
        load_settings("fake").require_checkpoints()
