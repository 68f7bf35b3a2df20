"""Whether what a model says a query asks for is in the query at all.

A model that rewrites may also invent, translate or obey. A subject that shares too little with its query is dropped,
and the rules take its place: they only ever leave out.
"""

from __future__ import annotations

import re
import unicodedata

from encoders.errors import Unstructured
from encoders.queries.base import HAN, StructuredQuery, language_of

MIN_SHARED = 0.5
"""Of the subject's words, or characters in Chinese, so many must stand in the query; the rest may be mended."""

_UNITS = re.compile(rf"{HAN.pattern}|(?:(?!{HAN.pattern})[^\W_])+")


def grounded(query: str, subject: str, style: str | None) -> StructuredQuery:
    """The structure of `query`, if `subject` is one. Raises Unstructured for one that is empty, not text, in another
    language than the query, longer than it, or mostly made of what is not in it."""
    shown = " ".join(unicodedata.normalize("NFKC", subject).split())
    wanted = _units(shown)
    if not wanted:
        raise Unstructured("the model found no subject in the query")
    if "\ufffd" in shown or not shown.isprintable():
        raise Unstructured("the model's subject is not text")
    language = language_of(query)
    if language_of(shown) != language:
        raise Unstructured(f"the model's subject is in another language than the query: {shown!r}")
    given = _units(query)
    if len(wanted) > len(given):
        raise Unstructured(f"the model's subject says more than the query: {shown!r}")
    if sum(unit in given for unit in wanted) < MIN_SHARED * len(wanted):
        raise Unstructured(f"the model's subject shares too little with the query: {shown!r}")
    return StructuredQuery(shown, style, language)


def _units(text: str) -> list[str]:
    return _UNITS.findall(unicodedata.normalize("NFKC", text).casefold())
