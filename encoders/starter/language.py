"""Which text tower reads a text: by its letters, never by a guess at its words."""

from __future__ import annotations

import unicodedata
from typing import Literal, TypeAlias

from encoders.errors import InputError

Tower: TypeAlias = Literal["english", "multilingual"]

_LAST_LATIN = 0x24F
"""The end of Unicode's block Latin Extended-B."""


def clean(text: str, max_chars: int) -> str:
    """The text in Unicode's NFKC form with single spaces, so that ｃａｔ is cat. Raises InputError, `param` "text".

    Codes: `text_empty`, `text_too_long` (more than `max_chars` as given), `text_not_unicode` (a lone surrogate).
    """
    if len(text) > max_chars:
        message = f"the text has {len(text)} characters, and at most {max_chars} are taken"
        raise InputError(message, code="text_too_long", param="text")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError("the text holds half of a surrogate pair", code="text_not_unicode", param="text")
    normal = "".join(" " if unicodedata.category(c) == "Cc" else c for c in unicodedata.normalize("NFKC", text))
    normal = " ".join(normal.split())
    if not any(unicodedata.category(character)[0] not in "CZ" for character in normal):
        raise InputError("the text is empty", code="text_empty", param="text")
    return normal


def choose_tower(text: str) -> Tower:
    """English for ASCII, and for texts whose letters are all Latin; multilingual for Chinese, mixed and all others."""
    if text.isascii():
        return "english"
    letters = [character for character in text if character.isalpha()]
    return "english" if letters and all(ord(character) <= _LAST_LATIN for character in letters) else "multilingual"
