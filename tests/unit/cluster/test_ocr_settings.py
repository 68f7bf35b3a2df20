"""Reading images and rewriting queries as settings: off unless asked for, and every enhancement has its switch."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from cluster.errors import SettingsError
from cluster.ocr_settings import EnhanceSettings
from cluster.settings import load_settings, profile_names
from encoders.enhance import Enhancement


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_reads_no_images_and_rewrites_nothing(profile: str) -> None:
    settings = load_settings(profile)
    assert not settings.ocr.enabled
    assert settings.queries.rewrite == "off"


def test_the_switches_are_those_of_the_encoders_and_default_alike() -> None:
    assert EnhanceSettings().model_dump() == asdict(Enhancement())


def test_one_enhancement_is_turned_off_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_OCR__ENHANCE__DENOISE", "false")
    assert Enhancement(**load_settings("local").ocr.enhance.model_dump()) == Enhancement(denoise=False)


def test_an_unknown_rewriting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_QUERIES__REWRITE", "magic")
    with pytest.raises(SettingsError, match=r"queries\.rewrite"):
        load_settings("local")
