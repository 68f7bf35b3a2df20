"""Ready-made vectors that must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.bad_inputs.case import DIM, BadInput
from tests.bad_inputs.content import form


def vector_cases() -> Iterator[BadInput]:
    def item(vector: Any, **more: Any) -> bytes:
        return json.dumps({"text": "imported", "fingerprint": "FINGERPRINT", "vector": vector, **more}).encode()

    good = [1.0] + [0.0] * (DIM - 1)
    yield BadInput("vector: NaN literal", "/v1/items", item([float("nan")] * DIM), says="JSON")
    yield BadInput("vector: Infinity literal", "/v1/items", item([float("inf")] * DIM), says="JSON")
    yield BadInput("vector: 1e999", "/v1/items", item(good).replace(b"[1.0", b"[1e999"), says="JSON")
    multipart = form(('name="text"', b"x"), ('name="fingerprint"', b"FINGERPRINT"), ('name="vector"', b"[NaN, 1]"))
    yield BadInput("vector: NaN in a form", "/v1/items", **multipart, param="vector[0]", says="finite")
    yield BadInput("vector: NaN as a text", "/v1/items", item(["NaN"] * DIM), param="vector[0]", says="number")
    yield BadInput("vector: too short", "/v1/items", item([1.0]), param="vector", says=f"not {DIM}")
    yield BadInput("vector: zero", "/v1/items", item([0.0] * DIM), param="vector", says="zero")
    yield BadInput("vector: overflows float32", "/v1/items", item([1e300] * DIM), param="vector", says="finite")
    yield BadInput("vector: of texts", "/v1/items", item(["a"] * DIM), param="vector[0]", says="number")
    yield BadInput("vector: empty", "/v1/items", item([]), param="vector", says="at least 1")
    bare = json.dumps({"text": "x", "vector": good}).encode()
    yield BadInput("vector without a fingerprint", "/v1/items", bare, says="fingerprint")
    other = json.dumps({"text": "x", "vector": good, "fingerprint": "0" * 16}).encode()
    yield BadInput(
        "vector of another contract", "/v1/items", other, status=409, param="fingerprint", says="FINGERPRINT"
    )
