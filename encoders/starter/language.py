"""Which text tower reads a text: by its letters, never by a guess at its words."""

from __future__ import annotations

from typing import Literal, TypeAlias

Tower: TypeAlias = Literal["english", "multilingual"]

_LAST_LATIN = 0x24F
"""The end of Unicode's block Latin Extended-B."""


def choose_tower(text: str) -> Tower:
    """English for ASCII, and for texts whose letters are all Latin; multilingual for Chinese, mixed and all others."""
    if text.isascii():
        return "english"
    letters = [character for character in text if character.isalpha()]
    return "english" if letters and all(ord(character) <= _LAST_LATIN for character in letters) else "multilingual"
