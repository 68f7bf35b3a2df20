"""The reranker in the settings, and where checkpoints are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.errors import SettingsError
from cluster.settings import load_settings


def test_a_reranker_runs_only_where_it_is_asked_for() -> None:
    assert not load_settings("local").rerank.enabled
    assert not load_settings("qwen").rerank.enabled
    assert load_settings("qwen-rerank").rerank.scale.min_replicas == 0


def test_pulled_checkpoints_are_looked_for_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path))
    settings = load_settings("qwen-rerank")
    assert settings.options_of("qwen3-vl")["models_dir"] == tmp_path / "models"
    assert settings.options_of_reranker("qwen3-vl-reranker")["models_dir"] == tmp_path / "models"
    assert "models_dir" not in settings.options_of_reranker("fake-reranker")


def test_a_local_folder_takes_the_place_of_the_profiles_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_ENCODER__OPTIONS", '{"model": "/models/Qwen3-VL-Embedding-2B"}')
    options = load_settings("qwen").options_of("qwen3-vl")
    assert options["model"] == "/models/Qwen3-VL-Embedding-2B"
    assert options["precision"] == "bf16", "what is not given stays as in the profile"


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"ENCODER__NAME": "dual-tower"}, r"encoder\.options\.model"),
        ({"RERANK__ENABLED": "true"}, r"rerank\.options\.model"),
        ({"QUERIES__REWRITE": "model"}, r"queries\.structurer\.options\.model"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_without_its_checkpoint_is_not_served(
    variables: dict[str, str], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cluster.app import build_app

    for name, value in variables.items():
        monkeypatch.setenv(f"CROSSRAY_{name}", value)
    settings = load_settings("local")
    with pytest.raises(SettingsError, match=field):
        settings.require_checkpoints()
    with pytest.raises(SettingsError, match=field):
        build_app(settings)
