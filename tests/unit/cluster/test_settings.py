"""The settings tree: profiles, the environment over them, and faults that name the field."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError

from cluster.environment import ray_environment
from cluster.errors import SettingsError
from cluster.http_settings import MAX_IMAGE_PIXELS, ImageSettings
from cluster.settings import Settings, load_settings, profile_names
from encoders.images import ImageLimits
from encoders.registry import load_encoder


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CROSSRAY_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_loads(name: str) -> None:
    assert load_settings(name).profile == name


def test_the_default_is_one_machine_on_loopback() -> None:
    settings = load_settings()
    assert (settings.profile, settings.encoder.name, settings.index.backend) == ("local", "starter", "embedded")
    assert settings.http.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "allowed", "served"),
    [
        ("127.0.0.1", None, {"localhost", "127.0.0.1", "::1"}),
        ("localhost", None, {"localhost", "127.0.0.1", "::1"}),
        ("0.0.0.0", None, None),
        ("0.0.0.0", '["photos.example"]', {"photos.example"}),
        ("127.0.0.1", '["photos.example"]', {"photos.example"}),
    ],
)
def test_names_the_server_may_be_called_by(
    monkeypatch: pytest.MonkeyPatch, host: str, allowed: str | None, served: set[str] | None
) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__HOST", host)
    if allowed is not None:
        monkeypatch.setenv("CROSSRAY_HTTP__ALLOWED_HOSTS", allowed)
    settings = load_settings()
    assert settings.http.served_hosts == served
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Ray's
        from cluster.app_options import ingress_options
    assert ingress_options(settings).http.allowed_hosts == served


def test_the_environment_wins_over_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_PROFILE", "fake")
    monkeypatch.setenv("CROSSRAY_HTTP__PORT", "9123")
    monkeypatch.setenv("CROSSRAY_ENCODER__OPTIONS", '{"work_s": 0.5}')
    settings = load_settings()
    assert (settings.profile, settings.http.port, settings.index.backend) == ("fake", 9123, "memory")
    assert (settings.encoder.name, settings.encoder.options["work_s"]) == ("fake", 0.5)


def test_the_profile_that_was_asked_for_is_the_one_that_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_PROFILE", "local")
    assert load_settings("milvus").profile == "milvus"


@pytest.mark.parametrize("variable", ["CROSSRAY_ENCODER__NAME", "CROSSRAY_ENCODER"])
def test_another_encoder_does_not_get_the_options_of_the_profiles(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv(variable, "fake" if variable.endswith("NAME") else '{"name": "fake"}')
    settings = load_settings("qwen")
    assert (settings.encoder.name, settings.encoder.options) == ("fake", {})
    assert settings.encoder.max_batch_size == 32, "the rest of the branch stays"
    load_encoder("fake", **settings.options_of("fake")).close()
    monkeypatch.setenv("CROSSRAY_ENCODER__OPTIONS", '{"dim": 32}')
    assert load_settings("qwen").encoder.options == {"dim": 32}
    monkeypatch.setenv("CROSSRAY_RERANK__NAME", "fake-reranker")
    assert load_settings("qwen-rerank").rerank.options == {}


def test_naming_the_profiles_own_encoder_keeps_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_ENCODER__NAME", "qwen3-vl")
    assert load_settings("qwen").encoder.options["precision"] == "bf16"


def test_a_profile_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("http:\n  port: 9001\n")
    settings = load_settings(str(own))
    assert (settings.profile, settings.http.port) == ("mine", 9001)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CROSSRAY_HTTP__PORT", "eighty", "http.port"),
        ("CROSSRAY_HTTP__PORT", "70000", "http.port"),
        ("CROSSRAY_INDEX__BACKEND", "oracle", "index.backend"),
        ("CROSSRAY_HTTP__COLOUR", "red", "http.colour"),
        ("CROSSRAY_ENCODER__OPTIONS", "{model: x", "encoder.*JSON"),
        ("CROSSRAY_HTTP__SCALE__MAX_REPLICAS", "2", r"http.scale.max_replicas: .*ray.ingress to proxy"),
        ("CROSSRAY_INDEX__SCALE__MAX_REPLICAS", "2", r"index: the embedded index has one owner"),
        ("CROSSRAY_ENCODER__SCALE__MIN_REPLICAS", "2", r"encoder.scale: min_replicas is 2, more than max_replicas 1"),
        ("CROSSRAY_RAY__INGRESS", "haproxy", r"ray.ingress: HAProxy's own pages listen on every interface"),
        ("CROSSRAY_IMAGES__MAX_PIXELS", "89478486", r"images.max_pixels: .*89478485"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says):
        load_settings()


def test_only_a_milvus_server_has_more_than_one_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_INDEX__SCALE__MAX_REPLICAS", "2")
    with pytest.raises(SettingsError, match="the Milvus Lite file has one owner"):
        load_settings("milvus")
    monkeypatch.setenv("CROSSRAY_INDEX__URI", "http://milvus.example:19530")
    assert load_settings("milvus").index.scale.max_replicas == 2


def test_the_limits_of_images_are_those_of_the_decoder() -> None:
    assert ImageSettings().model_dump() == asdict(ImageLimits())


@pytest.mark.parametrize(("kind", "name"), [("options_of", "fake"), ("options_of_reranker", "fake-reranker")])
def test_models_are_loaded_under_the_limits_of_the_settings(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSRAY_IMAGES__MAX_PIXELS", "80000000")
    assert getattr(load_settings(), kind)(name)["limits"].max_pixels == 80_000_000


def test_as_many_pixels_are_taken_as_the_decoder_takes() -> None:
    assert ImageLimits(max_pixels=MAX_IMAGE_PIXELS).max_pixels == MAX_IMAGE_PIXELS
    with pytest.raises(ValueError, match="max_pixels"):
        ImageLimits(max_pixels=MAX_IMAGE_PIXELS + 1)


@pytest.mark.parametrize(
    ("text", "says"), [("http: [", "not YAML"), ("htpp:\n  port: 1\n", "htpp"), ("- a\n", "mapping")]
)
def test_a_bad_profile_is_told(tmp_path: Path, text: str, says: str) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(text)
    with pytest.raises(SettingsError, match=says):
        load_settings(str(own))


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match="local"):
        load_settings("nonesuch")


def test_settings_are_frozen_and_keep_their_secrets() -> None:
    settings = Settings.model_validate({"index": {"token": "root:secret"}})
    with pytest.raises(ValidationError):
        settings.http.port = 1  # type: ignore[misc]
    assert "secret" not in repr(settings)
    assert settings.index.token.get_secret_value() == "root:secret"


def test_the_environment_of_ray_switches_telemetry_off_and_stays_on_loopback() -> None:
    env = ray_environment(load_settings())
    off = {"RAY_USAGE_STATS_ENABLED": "0", "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    assert off.items() <= env.items()
    assert env["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert env["RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT"] == "8000"
