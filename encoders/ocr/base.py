"""What reads text off an image, as a small protocol; it knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from encoders.enhance import Pixels

Box: TypeAlias = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""Four corners `(x, y)` in pixels, from the line's own top left clockwise."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line as it was read; `score` is the reader's confidence, 0 to 1."""

    text: str
    score: float
    box: Box


class TextReader(Protocol):
    """Reads lines of text. Called by one thread at a time."""

    def read(self, image: Pixels) -> list[TextLine]:
        """The lines on a uint8 RGB image `(h, w, 3)`, in no order that counts."""
        ...

    def quarter_turns(self, image: Pixels, lines: Sequence[TextLine]) -> int:
        """By how many quarters, anticlockwise, the image has to be turned to stand upright: 0 to 3.

        `lines` is what `read` found on it.
        """
        ...
