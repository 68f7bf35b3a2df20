"""The settings of the embedding cache: on and bounded by default, and a Redis URL that stays secret."""

from __future__ import annotations

import pytest

from cluster.errors import SettingsError
from cluster.settings import load_settings


def test_a_bounded_file_is_the_default() -> None:
    cache = load_settings("local").cache
    assert (cache.backend, cache.max_bytes) == ("sqlite", 256 << 20)


def test_the_load_test_profile_encodes_each_time() -> None:
    assert load_settings("fake").cache.backend == "none"


def test_redis_needs_its_url_and_keeps_it_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE__BACKEND", "redis")
    with pytest.raises(SettingsError, match="CROSSRAY_CACHE__URL"):
        load_settings()
    monkeypatch.setenv("CROSSRAY_CACHE__URL", "redis://:secret@127.0.0.1:6379/0")
    settings = load_settings()
    assert settings.cache.url is not None
    assert settings.cache.url.get_secret_value() == "redis://:secret@127.0.0.1:6379/0"
    assert "secret@" not in repr(settings)


def test_a_bound_that_holds_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_CACHE__MAX_BYTES", "100")
    with pytest.raises(SettingsError, match="max_bytes"):
        load_settings()
