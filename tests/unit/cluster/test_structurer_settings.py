"""A model that rewrites queries, in the settings: run where it is asked for, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.settings import load_settings, profile_names


@pytest.mark.parametrize("profile", profile_names())
def test_no_profile_runs_one(profile: str) -> None:
    assert not load_settings(profile).queries.runs_structurer


@pytest.mark.parametrize(("variable", "value"), [("REWRITE", "model"), ("STRUCTURER__ENABLED", "true")])
def test_either_setting_runs_one(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"CROSSRAY_QUERIES__{variable}", value)
    assert load_settings("local").queries.runs_structurer


def test_its_checkpoint_is_looked_for_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("CROSSRAY_QUERIES__STRUCTURER__OPTIONS", '{"model": "Qwen/Qwen3-VL-2B-Instruct"}')
    options = load_settings("local").options_of_structurer("qwen3-vl-structurer")
    assert options == {"models_dir": tmp_path / "models", "model": "Qwen/Qwen3-VL-2B-Instruct"}
    assert load_settings("local").options_of_structurer("fake-structurer") == {}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_its_replicas_and_the_ingress_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from cluster.app import build_app
    from cluster.app_options import ingress_options, structurer_options

    monkeypatch.setenv("CROSSRAY_QUERIES__REWRITE", "model")
    monkeypatch.setenv("CROSSRAY_QUERIES__STRUCTURER", '{"deadline_ms": 250, "max_batch_size": 3}')
    monkeypatch.setenv("CROSSRAY_QUERIES__STRUCTURER__OPTIONS", '{"model": "Qwen/Qwen3-VL-2B-Instruct"}')
    settings = load_settings("local")
    assert ingress_options(settings).rewrite.way == "model"
    assert ingress_options(settings).rewrite.deadline_ms == 250
    assert structurer_options(settings).limits.max_batch_size == 3
    build_app(settings)
