"""What may be stored and what may be asked. Every index checks with these, so that all refuse the same things.

The limits are those that every back end can hold (a Milvus VARCHAR is at most 65,535 bytes).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from retrieval.base import KINDS_OF_TARGET, Payload, Query, Record, TextQuery, Vector
from retrieval.errors import InvalidQuery, InvalidRecord
from retrieval.filters import KEY, KEY_RULE, is_scalar_number

MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 16_000
MAX_SOURCE_CHARS = 2_048
MAX_TAGS = 64
MAX_TAG_CHARS = 128
MAX_KEYS = 64
MAX_VALUE_CHARS = 1_024
MAX_METADATA_BYTES = 32_768
MAX_TOP_K = 1_024
"""A thousand, and room for what a caller asks for only to leave it out, such as the item that is the query."""
UNIT_TOLERANCE = 1e-3
"""How far from 1 a norm may be: float16 and JSON roundings pass, a vector that nobody normalised does not."""


def check_records(records: Sequence[Record], dim: int) -> Vector:
    """Their vectors stacked `(n, dim)` float32. Raises InvalidRecord naming the record and the field."""
    rows = np.empty((len(records), dim), dtype=np.float32)
    for i, record in enumerate(records):
        at = f"records[{i}]"
        if not isinstance(record.id, str) or not 1 <= len(record.id) <= MAX_ID_CHARS:
            raise InvalidRecord(f"{at}.id is not a text of 1 to {MAX_ID_CHARS} characters", f"{at}.id")
        if "\0" in record.id or not _is_unicode(record.id):
            raise InvalidRecord(f"{at}.id holds a NUL or a lone surrogate", f"{at}.id")
        if reason := vector_fault(record.vector, dim):
            raise InvalidRecord(f"{at}.vector {reason}", f"{at}.vector")
        rows[i] = record.vector
        _check_payload(record.payload, at)
    return rows


def check_query(query: Query, dim: int) -> Vector:
    """The query's vector as `(dim,)` float32. Raises InvalidQuery."""
    _check_scope(query.top_k, query.target)
    if reason := vector_fault(query.vector, dim):
        raise InvalidQuery(f"the query vector {reason}", "vector")
    return np.ascontiguousarray(query.vector, dtype=np.float32)


def check_text_query(query: TextQuery) -> None:
    """Raises InvalidQuery."""
    _check_scope(query.top_k, query.target)
    if not isinstance(query.text, str) or not _is_unicode(query.text):
        raise InvalidQuery("the query is not a text", "text")
    if len(query.text) > MAX_TEXT_CHARS:
        raise InvalidQuery(f"the query is longer than {MAX_TEXT_CHARS} characters", "text")


def _check_scope(top_k: int, target: str) -> None:
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
        raise InvalidQuery(f"top_k is not an integer from 1 to {MAX_TOP_K}", "top_k")
    if target not in KINDS_OF_TARGET:
        raise InvalidQuery(f"target is not one of {', '.join(KINDS_OF_TARGET)}", "target")


def vector_fault(vector: Vector, dim: int) -> str | None:
    """Why a vector may not be used, or None."""
    array = np.asarray(vector)
    if array.shape != (dim,):
        return f"has the shape {array.shape}, not ({dim},)"
    if array.dtype.kind != "f":
        return f"holds {array.dtype}, not floats"
    squared = float(np.dot(array, array))
    if not math.isfinite(squared):
        return "is not finite"
    norm = math.sqrt(squared)
    return None if abs(norm - 1.0) <= UNIT_TOLERANCE else f"is not of unit length: its norm is {norm:.4g}"


def _check_payload(payload: Payload, at: str) -> None:
    if payload.kind not in KINDS_OF_TARGET["any"]:
        raise InvalidRecord(f"{at}.kind is not one of {', '.join(KINDS_OF_TARGET['any'])}", f"{at}.kind")
    limits = {
        "text": MAX_TEXT_CHARS,
        "ocr_text": MAX_TEXT_CHARS,
        "source": MAX_SOURCE_CHARS,
        "media": MAX_ID_CHARS,
        "mime": MAX_ID_CHARS,
    }
    for name, limit in limits.items():
        value = getattr(payload, name)
        if value == "" and name not in ("source", "ocr_text"):
            raise InvalidRecord(f"{at}.{name} is empty: leave it out", f"{at}.{name}")
        _check_text(value or "", limit, f"{at}.{name}")
    for name in ("width", "height"):
        if not 0 <= getattr(payload, name) < 2**31:
            raise InvalidRecord(f"{at}.{name} is not from 0 to 2**31", f"{at}.{name}")
    if not math.isfinite(payload.created_at):
        raise InvalidRecord(f"{at}.created_at is not finite", f"{at}.created_at")
    if len(payload.tags) > MAX_TAGS:
        raise InvalidRecord(f"{at}.tags holds more than {MAX_TAGS}", f"{at}.tags")
    for j, tag in enumerate(payload.tags):
        _check_text(tag, MAX_TAG_CHARS, f"{at}.tags[{j}]")
    _check_metadata(payload, f"{at}.metadata")


def _check_metadata(payload: Payload, at: str) -> None:
    if len(payload.metadata) > MAX_KEYS:
        raise InvalidRecord(f"{at} holds more than {MAX_KEYS} keys", at)
    size = 0
    for key, value in payload.metadata.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise InvalidRecord(f"{at}: {key!r} is not a key: {KEY_RULE}", at)
        if isinstance(value, str):
            _check_text(value, MAX_VALUE_CHARS, f"{at}.{key}")
            size += len(value.encode())
        elif not is_scalar_number(value):
            raise InvalidRecord(f"{at}.{key} is not a text, a boolean or a finite number", f"{at}.{key}")
        size += len(key.encode()) + 24
    if size > MAX_METADATA_BYTES:
        raise InvalidRecord(f"{at} is larger than {MAX_METADATA_BYTES} bytes", at)


def _check_text(value: object, limit: int, at: str) -> None:
    if not isinstance(value, str) or not _is_unicode(value):
        raise InvalidRecord(f"{at} is not a text", at)
    if len(value) > limit:
        raise InvalidRecord(f"{at} is longer than {limit} characters", at)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
