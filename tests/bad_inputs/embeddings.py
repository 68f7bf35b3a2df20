"""Requests for embeddings and matches that must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.bad_inputs.case import DIM, BadInput
from tests.bad_inputs.content import b64, picture


def embedding_cases() -> Iterator[BadInput]:
    def embed(**fields: Any) -> bytes:
        return json.dumps({"input": "a"} | fields).encode()

    path = "/v1/embeddings"
    yield BadInput("embeddings: a number", path, embed(input=5), param="input")
    yield BadInput("embeddings: nothing", path, embed(input=[]), param="input", says="at least 1")
    yield BadInput("embeddings: tokens", path, embed(input=[[1, 2]]), param="input[0]")
    yield BadInput("embeddings: null inside", path, embed(input=["a", None]), param="input[1]")
    yield BadInput("embeddings: 513", path, embed(input=["a"] * 513), param="input", says="at most 512")
    yield BadInput("embeddings: all empty", path, embed(input=[" ", ""]), param="input[0]", says="empty")
    yield BadInput("embeddings: bad image", path, embed(input=["a", {"image": "@"}]), param="input[1].image")
    yield BadInput("embeddings: another model", path, embed(model="gpt"), param="model", says="'fake'")
    yield BadInput("embeddings: dimensions", path, embed(dimensions=7), param="dimensions", says=str(DIM))
    yield BadInput("embeddings: format", path, embed(encoding_format="hex"), param="encoding_format")
    good = b64(picture())
    for name, texts, images, param in [
        ("no texts", [], [good], "texts"),
        ("no images", ["a"], [], "images"),
        ("an empty text", ["a", ""], [good], "texts[1]"),
        ("a broken image", ["a"], [good, b64(b"junk")], "images[1]"),
        ("65 texts", ["a"] * 65, [good], "texts"),
    ]:
        body = json.dumps({"texts": texts, "images": images}).encode()
        yield BadInput(f"match: {name}", "/v1/match", body, param=param)
