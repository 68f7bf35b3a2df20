"""One page: enhanced, read, turned where it lies wrong, and its lines put in reading order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from encoders.enhance import Enhancement, Pixels, enhance, turn
from encoders.ocr.base import TextLine, TextReader

MAX_SIDE_PX = 2000
"""Larger images are read at this size: the detector would shrink them itself, after they were enhanced at full cost."""


@dataclass(frozen=True, slots=True)
class Page:
    """What was read: `lines` in reading order, and which enhancements it took."""

    lines: tuple[TextLine, ...]
    enhanced: tuple[str, ...]

    @property
    def text(self) -> str:
        """Row under row; what stands side by side in a row is parted by a space."""
        return "\n".join(" ".join(line.text for line in row) for row in rows_of(self.lines))


def read_page(reader: TextReader, image: Image.Image, enhancement: Enhancement) -> Page:
    """Reads an upright or turned RGB image. A page that lies wrong costs a second reading."""
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    pixels: Pixels = np.asarray(image, dtype=np.uint8)
    pixels, done = enhance(pixels, enhancement)
    lines = reader.read(pixels)
    quarters = reader.quarter_turns(pixels, lines) if enhancement.rotate and lines else 0
    if quarters:
        # Lines that stand upright hide their skew, so it is looked for again; the rest is done.
        level = replace(Enhancement.off(), deskew=enhancement.deskew)
        pixels, again = enhance(turn(pixels, quarters), level)
        done = (*done, "rotate", *again)
        lines = reader.read(pixels)
    return Page(tuple(line for row in rows_of(lines) for line in row), done)


def rows_of(lines: Sequence[TextLine]) -> list[list[TextLine]]:
    """Lines that share a row, left to right, and rows from top to bottom.

    A line joins a row when its middle lies within the heights of the row's first line.
    """
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=_top):
        middle = (_top(line) + _bottom(line)) / 2
        row = next((row for row in rows if _top(row[0]) <= middle <= _bottom(row[0])), None)
        if row is None:
            rows.append([line])
        else:
            row.append(line)
    return [sorted(row, key=_left) for row in rows]


def _top(line: TextLine) -> float:
    return min(y for _, y in line.box)


def _bottom(line: TextLine) -> float:
    return max(y for _, y in line.box)


def _left(line: TextLine) -> float:
    return min(x for x, _ in line.box)
