"""RapidOCR as it is loaded: from the models in its package, never a network, or with an error that says what to do."""

from __future__ import annotations

import sys

import pytest

from encoders.errors import MissingExtra, ModelUnavailable
from encoders.ocr import RapidReader
from encoders.ocr import rapid as module


def test_a_missing_model_is_said_and_not_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.MODELS, "Rec", "no_such_model.onnx")
    with pytest.raises(ModelUnavailable, match=r"without no_such_model\.onnx: run  pip install"):
        RapidReader()


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtra, match=r"crossray\[ocr\]"):
        RapidReader()
