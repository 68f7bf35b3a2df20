"""Texts that must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.bad_inputs.case import BadInput


def text_cases() -> Iterator[BadInput]:
    for name, text, says in [
        ("empty", "", "empty"),
        ("whitespace", " \t\n\u3000", "empty"),
        ("zero width", "\u200b", ""),
    ]:
        body = json.dumps({"text": text}).encode()
        yield BadInput(f"item text: {name}", "/v1/items", body, param="text", says=says)
        yield BadInput(f"search text: {name}", "/v1/search", body, param="text", says=says)
    long = json.dumps({"text": "a" * 10_000_000}).encode()
    yield BadInput("item text: ten million characters", "/v1/items", long, param="text", says="at most")
    yield BadInput("search text: ten million characters", "/v1/search", long, param="text", says="at most")
    yield BadInput("item text: lone surrogate", "/v1/items", b'{"text": "\\ud800"}', says="JSON")
    yield BadInput("search text: lone surrogate", "/v1/search", b'{"text": "\\ud800x"}', says="JSON")
    yield BadInput("embeddings: lone surrogate", "/v1/embeddings", b'{"input": "\\udfff"}', says="JSON")
    yield BadInput("item text: not UTF-8", "/v1/items", b'{"text": "\xff\xfe"}', says="JSON")
    yield BadInput("embeddings: not UTF-8", "/v1/embeddings", b'{"input": "\xff"}', says="JSON")
    yield BadInput("item text: a number", "/v1/items", b'{"text": 12}', param="text", says="string")
    yield BadInput("item text: a list", "/v1/items", b'{"text": ["a"]}', param="text", says="string")
