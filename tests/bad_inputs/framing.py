"""JSON bodies and multipart forms that must be refused as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.bad_inputs.case import JSON, NESTED, BadInput
from tests.bad_inputs.content import form, picture


def body_cases() -> Iterator[BadInput]:
    posts = ("/v1/items", "/v1/search", "/v1/embeddings", "/v1/match", "/v1/items/lookup")
    for path in posts:
        yield BadInput(f"{path}: no body", path, b"", says="JSON")
        yield BadInput(f"{path}: not JSON", path, b'{"text": ', says="JSON")
        yield BadInput(f"{path}: a JSON array", path, b"[1, 2]")
        yield BadInput(f"{path}: null", path, b"null")
        yield BadInput(f"{path}: deep nesting", path, b'{"text":' + b"[" * NESTED, says="JSON")
    yield BadInput("an empty object", "/v1/items", b"{}", says="give an image, a text, or both")
    yield BadInput("an empty search", "/v1/search", b"{}", says="exactly one")
    yield BadInput("unknown field", "/v1/search", b'{"text": "a", "topk": 5}', param="topk", says="not permitted")
    yield BadInput(
        "unknown field of an item", "/v1/items", b'{"text": "a", "tag": []}', param="tag", says="not permitted"
    )
    yield BadInput("an URL-encoded form", "/v1/items", b"text=a", {"content-type": "application/x-www-form-urlencoded"})
    plain: dict[str, Any] = {"status": 415, "param": "Content-Type", "says": "Content-Type: application/json"}
    for path in posts:
        yield BadInput(f"{path}: JSON as plain text", path, b'{"text": "a"}', {"content-type": "text/plain"}, **plain)
    yield BadInput("JSON of no type", "/v1/items", b'{"text": "a"}', {}, **plain)
    form_of_a_page = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-site"}
    yield BadInput("JSON as a page's form", "/v1/items", b'{"text": "a"}', form_of_a_page, **plain)
    foreign: dict[str, Any] = {"status": 403, "param": "Origin", "says": "may not call"}
    for origin in ("http://elsewhere.example", "null", "http://127.0.0.1:1", "http://localhost:1"):
        yield BadInput(f"a page of {origin}", "/v1/items", b'{"text": "a"}', JSON | {"origin": origin}, **foreign)
    sent = form(('name="text"', b"a text"))
    sent["headers"] |= {"origin": "http://elsewhere.example"}
    yield BadInput("a form of another page", "/v1/items", **sent, **foreign)
    yield BadInput("an empty batch", "/v1/items", b'{"items": []}', param="items", says="at least 1")
    many = json.dumps({"items": [{"text": str(i)} for i in range(257)]}).encode()
    yield BadInput("a batch of 257", "/v1/items", many, param="items", says="at most 256")
    yield BadInput("a batch of texts", "/v1/items", b'{"items": ["a"]}', param="items[0]", says="dictionary")
    body = b'{"text": "' + b"a" * (33 << 20) + b'"}'
    large: dict[str, Any] = {"body": body, "status": 413, "says": "over the limit"}
    yield BadInput("a body over the limit", "/v1/items", **large)
    yield BadInput("a body over the limit, its length not declared", "/v1/items", **large, chunked=True)
    yield BadInput("a search over the limit, its length not declared", "/v1/search", **large, chunked=True)
    multipart = form(('name="image"; filename="a"', b"\0" * (33 << 20)))
    yield BadInput("a form over the limit, its length not declared", "/v1/items", **multipart, status=413, chunked=True)


def form_cases() -> Iterator[BadInput]:
    text = ('name="text"', b"a text")
    yield BadInput("form: a field twice", "/v1/items", **form(text, text), param="text", says="twice")
    image = ('name="image"; filename="a.jpg"', picture())
    yield BadInput("form: two images", "/v1/items", **form(image, image), param="image", says="twice")
    yield BadInput("form: no file and no text", "/v1/items", **form(('name="tags"', b"x")), says="give an image")
    yield BadInput(
        "form: unknown field", "/v1/search", **form(text, ('name="k"', b"1")), param="k", says="not permitted"
    )
    yield BadInput("form: cut off", "/v1/items", **form(text, image, end=b""), says="cut off")
    yield BadInput("form: another boundary", "/v1/items", **form(text, boundary="other"), says="multipart")
    nothing = {"body": form(text)["body"], "headers": {"content-type": "multipart/form-data"}}
    yield BadInput("form: no boundary", "/v1/items", **nothing, says="boundary")
    yield BadInput("form: no name", "/v1/items", **form(('filename="x"', b"a")), says="multipart")
    for name, value, says in [
        ("filter", b"{", "JSON"),
        ("filter", b"[" * NESTED, "JSON"),
        ("mix", b"9" * 5000, "JSON"),
        ("top_k", b"ten", "a number"),
        ("min_score", b"nan", "finite"),
    ]:
        bad = form(text, (f'name="{name}"', value))
        yield BadInput(f"form: {name}={value[:4]!r}", "/v1/search", **bad, param=name, says=says)
    metadata = form(text, ('name="metadata"', b'{"a": NaN}'))
    yield BadInput("form: metadata NaN", "/v1/items", **metadata, param="metadata.a", says="finite")
    fields = [('name="tags"', b"t")] * 65
    yield BadInput("form: 65 fields", "/v1/items", **form(text, *fields), says="multipart")
