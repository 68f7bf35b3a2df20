"""Texts as the tokens that a lexical index counts: words of scripts that write spaces, pairs of characters of those
that do not.

A run of Chinese, Japanese or Korean is cut into its overlapping pairs, so that a word of two characters is found
wherever it stands, and no dictionary decides what a word is. The run's last character stands for itself beside them:
a query of a single character then is a prefix of some token wherever the character stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from retrieval.base import Payload

TOKENS_VERSION = 1
"""Changes with what the functions here answer: an index of another version must be built anew."""
MAX_TERMS = 64
"""Terms of a query beyond these are not looked for."""

_UNSPACED = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?P<word>[^\W_{_UNSPACED}]+)")


@dataclass(frozen=True, slots=True)
class Term:
    """What a query looks for: a token, or where `is_prefix` every token that begins so."""

    token: str
    is_prefix: bool = False


def text_of(payload: Payload) -> str:
    """What is searched of an item: its own text, and what was read off its image."""
    return "\n".join(text for text in (payload.text, payload.ocr_text) if text)


def tokens(text: str) -> list[str]:
    """What a text is indexed by, in order, repetitions included."""
    found: list[str] = []
    for run, is_unspaced in _runs(text):
        if not is_unspaced:
            found.append(run)
            continue
        found.extend(run[at : at + 2] for at in range(len(run)))
    return found


def terms(query: str) -> list[Term]:
    """What a query looks for, each once, in order; none where it holds neither letters nor digits."""
    found: dict[Term, None] = {}
    for run, is_unspaced in _runs(query):
        if not is_unspaced:
            found[Term(run)] = None
        elif len(run) == 1:
            found[Term(run, is_prefix=True)] = None
        else:
            found.update((Term(run[at : at + 2]), None) for at in range(len(run) - 1))
    return list(found)[:MAX_TERMS]


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    for match in _RUN.finditer(folded):
        is_unspaced = match.lastgroup == "unspaced"
        yield match.group() if is_unspaced else _plain(match.group()), is_unspaced


def _plain(word: str) -> str:
    """Without accents: who looks for a café may type cafe."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)) or word
