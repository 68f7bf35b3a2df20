"""What every text goes through before a model sees it."""

from __future__ import annotations

import unicodedata

from encoders.errors import InputError


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
