"""Items whose fields must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.bad_inputs.case import BadInput
from tests.bad_inputs.content import b64, picture


def item_cases() -> Iterator[BadInput]:
    def item(**fields: Any) -> bytes:
        return json.dumps({"text": "never stored"} | fields).encode()

    image = b64(picture())
    for name, fields, param in [
        ("id with a slash", {"id": "a/b"}, "id"),
        ("id with NUL", {"id": "a\0"}, "id"),
        ("id of dots", {"id": ".."}, "id"),
        ("empty id", {"id": ""}, "id"),
        ("long id", {"id": "a" * 129}, "id"),
        ("id as a number", {"id": 7}, "id"),
        ("tags as a text", {"tags": "red"}, "tags"),
        ("an empty tag", {"tags": ["ok", ""]}, "tags[1]"),
        ("65 tags", {"tags": [str(i) for i in range(65)]}, "tags"),
        ("a long tag", {"tags": ["t" * 129]}, "tags[0]"),
        ("metadata as a list", {"metadata": [1]}, "metadata"),
        ("nested metadata", {"metadata": {"a": {"b": 1}}}, "metadata.a"),
        ("null metadata", {"metadata": {"a": None}}, "metadata.a"),
        ("a number beyond float64", {"metadata": {"a": 2**60}}, "metadata.a"),
        ("a bad key", {"metadata": {"a;b": 1}}, "metadata.a;b"),
        ("65 keys", {"metadata": {f"k{i}": 1 for i in range(65)}}, "metadata"),
        ("a long value", {"metadata": {"a": "x" * 5000}}, "metadata.a"),
        ("40 kB of metadata", {"metadata": {f"k{i}": "x" * 1000 for i in range(40)}}, "metadata"),
        ("a long source", {"source": "s" * 3000}, "source"),
        ("created_at as a date", {"created_at": "yesterday"}, "created_at"),
    ]:  # fmt: skip
        yield BadInput(f"item: {name}", "/v1/items", item(**fields, image=image), param=param)
    yield BadInput("item: ocr_text without an image", "/v1/items", item(ocr_text="STOP"), says="ocr_text")
    yield BadInput("item: created_at NaN", "/v1/items", item(created_at=float("nan")), says="JSON")
    name = "x" * 1_000_000
    yield BadInput("item: a field of a million letters", "/v1/items", item(**{name: 1}), param=name[:80] + "…")
