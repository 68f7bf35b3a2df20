"""RapidOCR on drawn pages: what is printed is read, and each enhancement lowers the error where it applies.

The whole table is `python -m loadtests.bench_ocr`; here each kind of fault is tried on one page of one language.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders.enhance import Enhancement, Pixels
from encoders.ocr import RapidReader, read_page
from loadtests.made_up_pages import FAULTS, PAGES, character_error_rate, draw, font_path, text_of


@pytest.fixture(scope="module")
def font() -> Path:
    path = font_path()
    if path is None:
        pytest.skip("no font with Chinese glyphs: run  pip install pylopdf-fonts-zh-cn==0.1.1")
    return path


@pytest.fixture(scope="module")
def reader() -> RapidReader:
    """Made while no connection can be opened: the models are in the package."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"reached for the network: {arguments}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        reader = RapidReader()
        reader.read(np.full((48, 48, 3), 255, dtype=np.uint8))
    return reader


def error_of(reader: RapidReader, page: str, pixels: Pixels, enhancement: Enhancement) -> float:
    read = read_page(reader, Image.fromarray(pixels), enhancement)
    return character_error_rate(read.text, text_of(PAGES[page]))


@pytest.mark.parametrize("page", ["en-1", "zh-1"])
def test_a_clean_page_is_read_to_the_letter(reader: RapidReader, font: Path, page: str) -> None:
    assert error_of(reader, page, draw(PAGES[page], font), Enhancement()) <= 0.02


@pytest.mark.parametrize(
    ("fault", "page"),
    [
        ("rotated 90", "en-2"),
        ("rotated 180", "zh-1"),
        ("rotated 270", "en-1"),
        ("skewed -8", "zh-1"),
        ("skewed +10", "en-1"),
        ("blurred", "en-1"),
        ("noisy", "zh-1"),
        ("low light", "en-1"),
    ],
)
def test_what_is_meant_for_a_fault_lowers_the_error(reader: RapidReader, font: Path, fault: str, page: str) -> None:
    mended_by = FAULTS[fault].mended_by
    assert mended_by is not None
    spoilt = FAULTS[fault].spoil(draw(PAGES[page], font))
    without = error_of(reader, page, spoilt, Enhancement.off())
    alone = error_of(reader, page, spoilt, replace(Enhancement.off(), **{mended_by: True}))
    assert alone < without / 2


def test_a_photo_without_text_is_read_as_blank(reader: RapidReader) -> None:
    slope = np.linspace(40, 220, 320).astype(np.uint8)
    photo = np.repeat(np.repeat(slope[None, :, None], 240, axis=0), 3, axis=2)
    assert read_page(reader, Image.fromarray(photo), Enhancement()).text == ""
