"""From a successful answer to its result. Each raises ValueError for what is not such an answer."""

from __future__ import annotations

import base64
import json
import sys
from array import array
from collections.abc import Callable
from typing import Any, TypeVar

from crossray_client.answers import Embedding, Embeddings, Failure, Media, StoredBatch
from crossray_client.decode import decode
from crossray_client.errors import FINGERPRINT_HEADER, Answered

T = TypeVar("T")


def dataclass(kind: type[T]) -> Callable[[Answered], T]:
    """A reader of JSON that holds one `kind`."""
    return lambda answered: decode(kind, json.loads(answered.content))


def media(answered: Answered) -> Media:
    return Media(answered.content, answered.headers.get("content-type", "application/octet-stream"))


def stored_batch(answered: Answered) -> StoredBatch:
    body = _object(answered)
    return decode(StoredBatch, {"results": [_or_error(one) for one in _list(body, "results")]})


def embeddings(answered: Answered) -> Embeddings:
    body = _object(answered)
    model = body.get("model")
    if not isinstance(model, str):
        raise ValueError("answer.model is missing")
    data = [_embedding(one) for one in _list(body, "data")]
    return Embeddings(data=data, model=model, fingerprint=answered.headers.get(FINGERPRINT_HEADER.lower()))


def _embedding(datum: Any) -> Embedding:
    if not isinstance(datum, dict) or not isinstance(datum.get("index"), int):
        raise ValueError("an embedding has no index")
    if datum.get("embedding") is None:
        return Embedding(index=datum["index"], vector=None, failure=decode(Failure, datum.get("error")))
    if not isinstance(datum["embedding"], str):
        raise ValueError("an embedding is no base64, which was asked for")
    numbers = array("f", base64.b64decode(datum["embedding"], validate=True))
    if sys.byteorder == "big":  # they travel little-endian
        numbers.byteswap()
    return Embedding(index=datum["index"], vector=numbers.tolist())


def _object(answered: Answered) -> dict[str, Any]:
    body = json.loads(answered.content)
    if not isinstance(body, dict):
        raise ValueError(f"answer is {type(body).__name__}, not an object")
    return body


def _list(body: dict[str, Any], name: str) -> list[Any]:
    value = body.get(name)
    if not isinstance(value, list):
        raise ValueError(f"answer.{name} is {type(value).__name__}, not a list")
    return value


def _or_error(one: Any) -> Any:
    return one["error"] if isinstance(one, dict) and "error" in one else one
