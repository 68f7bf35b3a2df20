"""Pages drawn for OCR benchmarks and tests: their text is known, and they are spoilt in known ways."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from encoders.enhance import Pixels, rotate, turn

FONT_PACKAGE = "pylopdf_fonts_zh_cn"
"""Noto Sans SC (SIL OFL): Latin and Chinese in one font."""
SIZE = (640, 400)
MARGIN_PX, ROW_PX, FONT_PX = 32, 48, 24

Row = tuple[str, ...]
PAGES: Mapping[str, tuple[Row, ...]] = {
    "en-1": (
        ("Harbour Street Bakery", "14 May"),
        ("Two loaves of rye bread", "7.80"),
        ("Apricot tart with almonds", "4.25"),
        ("Coffee beans, one pound", "12.60"),
        ("Paid by card", "24.65"),
        ("Please come again before the weekend.",),
    ),
    "en-2": (
        ("The ferry leaves at a quarter past nine.",),
        ("Bicycles travel on the lower deck.",),
        ("Adults", "16.00"),
        ("Children under twelve", "8.50"),
        ("Dogs on a lead", "free"),
        ("Keep this ticket until you are ashore.",),
    ),
    "zh-1": (
        ("城东老街面馆", "五月十四日"),
        ("红烧牛肉面两碗", "56元"),
        ("凉拌黄瓜", "12元"),
        ("桂花酸梅汤一壶", "18元"),
        ("合计", "86元"),
        ("谢谢惠顾，欢迎下次再来。",),
    ),
    "zh-2": (
        ("轮渡上午九点十五分开船。",),
        ("自行车请放在下层甲板。",),
        ("成人票", "三十元"),
        ("十二岁以下儿童", "十五元"),
        ("携带宠物", "免费"),
        ("下船之前请保管好您的船票。",),
    ),
}


def font_path() -> Path | None:
    """A font with Chinese glyphs, or None where the package that brings it is not installed."""
    try:
        path: Path = import_module(FONT_PACKAGE).sans_path()
    except ModuleNotFoundError:
        return None
    return path


def draw(rows: tuple[Row, ...], font: Path) -> Pixels:
    """Dark print on light paper: the second text of a row stands at the right edge."""
    letters = ImageFont.truetype(str(font), FONT_PX)
    image = Image.new("RGB", SIZE, (250, 248, 244))
    pen = ImageDraw.Draw(image)
    top = (SIZE[1] - len(rows) * ROW_PX) // 2
    for number, row in enumerate(rows):
        y = top + number * ROW_PX
        pen.text((MARGIN_PX, y), row[0], font=letters, fill=(30, 30, 36))
        for text in row[1:]:
            pen.text((SIZE[0] - MARGIN_PX - pen.textlength(text, letters), y), text, font=letters, fill=(30, 30, 36))
    return np.asarray(image, dtype=np.uint8)


def text_of(rows: tuple[Row, ...]) -> str:
    return "\n".join(" ".join(row) for row in rows)


@dataclass(frozen=True)
class Fault:
    """A way of spoiling a page, and the name of the enhancement that is meant to mend it, if any."""

    spoil: Callable[[Pixels], Pixels]
    mended_by: str | None


def _noise(page: Pixels, sigma: float) -> Pixels:
    grain = np.random.default_rng(7).normal(0, sigma, page.shape)
    return np.clip(page + grain, 0, 255).astype(np.uint8)


def _night(page: Pixels) -> Pixels:
    """A hand-held photo in the dark: light falls off to one side, few levels are left, the sensor hisses."""
    fall_off = np.linspace(1.0, 0.25, page.shape[1])[None, :, None]
    dark = 3 + (page / 255.0) ** 2.2 * 30 * fall_off
    return np.clip(np.random.default_rng(11).normal(dark, 0.8), 0, 255).astype(np.uint8)


def _blur(page: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(page, (0, 0), sigma), dtype=np.uint8)


FAULTS: Mapping[str, Fault] = {
    "clean": Fault(lambda page: page, None),
    "rotated 90": Fault(lambda page: turn(page, 1), "rotate"),
    "rotated 180": Fault(lambda page: turn(page, 2), "rotate"),
    "rotated 270": Fault(lambda page: turn(page, 3), "rotate"),
    "skewed +5": Fault(lambda page: rotate(page, 5), "deskew"),
    "skewed -8": Fault(lambda page: rotate(page, -8), "deskew"),
    "skewed +10": Fault(lambda page: rotate(page, 10), "deskew"),
    "blurred": Fault(lambda page: _blur(page, 3.2), "sharpen"),
    "noisy": Fault(lambda page: _noise(page, 140.0), "denoise"),
    "low light": Fault(_night, "brighten"),
}


def character_error_rate(read: str, meant: str) -> float:
    """Edits (Levenshtein, 1966) a character that was meant; width and white space do not count. May pass 1."""
    a, b = _letters(read), _letters(meant)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1] / max(len(b), 1)


def _letters(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())
