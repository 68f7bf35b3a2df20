"""Requests that must be refused: one table for the API in this process and for a real cluster over HTTP."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from PIL import Image

JSON = {"content-type": "application/json"}
NESTED = 100_000
DIM = 64
"""Columns of the fake encoder."""


@dataclass(frozen=True)
class BadInput:
    """A request, and the answer it must get. `param` is the field at fault; `says` is in the message."""

    name: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    status: int = 400
    param: str | None = "body"
    says: str = ""
    method: str = "POST"
    chunked: bool = False


def _image(kind: str = "JPEG", size: tuple[int, int] = (96, 64)) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", size, Random(0).randbytes(3 * size[0] * size[1])).save(out, kind)
    return out.getvalue()


def _png(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few pixels do not have."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _form(*parts: tuple[str, bytes], end: bytes = b"--cut--\r\n", boundary: str = "cut") -> dict[str, Any]:
    """A multipart body; a part is the header's text after `form-data; ` and the content."""
    body = b"".join(
        b"--cut\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return {"body": body + end, "headers": {"content-type": f"multipart/form-data; boundary={boundary}"}}


def _image_cases() -> Iterator[BadInput]:
    jpeg, webp = _image(), _image("WEBP")
    bad: list[tuple[str, bytes, str]] = [
        ("empty", b"", "0 bytes"),
        ("truncated JPEG", jpeg[: len(jpeg) // 2], "decoded"),
        ("truncated PNG", _image("PNG")[:3000], "decoded"),
        ("truncated WebP", webp[: len(webp) // 2], ""),
        ("only a signature", b"\xff\xd8\xff", "damaged"),
        ("bomb", _png(60_000, 60_000), "60000×60000 pixels"),
        ("0×0 pixels", _png(0, 0), "no pixels"),
        ("a lying header", _png(500, 500), "decoded"),
        ("a text", b"this is not a picture", "not an image of a kind"),
        ("a PDF", b"%PDF-1.7\n" + b"0" * 100, "not an image of a kind"),
        ("an SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a kind"),
        ("random after a GIF's signature", b"GIF89a" + bytes(range(200)), ""),
    ]
    for name, data, says in bad:
        body = json.dumps({"image": _b64(data), "tags": ["bad"]}).encode()
        yield BadInput(f"item image: {name}", "/v1/items", body, param="image", says=says)
    whole = json.dumps({"image": _b64(jpeg[: len(jpeg) // 2])}).encode()
    yield BadInput("search image: truncated", "/v1/search", whole, param="image", says="decoded")
    vector = {"vector": [1.0] + [0.0] * (DIM - 1), "fingerprint": "FINGERPRINT"}
    cut = json.dumps({"image": _b64(jpeg[: len(jpeg) // 2]), **vector}).encode()
    yield BadInput("import of a truncated image", "/v1/items", cut, param="image", says="decoded")
    part = ('name="image"; filename="a.png"', b"not a png")
    yield BadInput("mislabelled file", "/v1/items", **_form(part), param="image", says="not an image of a kind")
    large = json.dumps({"image": _b64(b"\xff\xd8\xff" + b"\0" * (21 << 20))}).encode()
    yield BadInput("image over the limit in bytes", "/v1/items", large, param="image", says="at most")
    for name, text, says in [
        ("URL as image", "http://127.0.0.1:1/x.jpg", "not fetched"),
        ("path as image", "file:///etc/passwd", "not fetched"),
        ("bad base64", "@@@not base64@@@", "base64"),
        ("data URI without base64", "data:image/png,abc", "base64"),
    ]:
        body = json.dumps({"image": text}).encode()
        yield BadInput(name, "/v1/search", body, param="image", says=says)
    yield BadInput("image as a number", "/v1/items", b'{"image": 5}', param="image", says="base64")


def _vector_cases() -> Iterator[BadInput]:
    def item(vector: Any, **more: Any) -> bytes:
        return json.dumps({"text": "imported", "fingerprint": "FINGERPRINT", "vector": vector, **more}).encode()

    good = [1.0] + [0.0] * (DIM - 1)
    yield BadInput("vector: NaN literal", "/v1/items", item([float("nan")] * DIM), says="JSON")
    yield BadInput("vector: Infinity literal", "/v1/items", item([float("inf")] * DIM), says="JSON")
    yield BadInput("vector: 1e999", "/v1/items", item(good).replace(b"[1.0", b"[1e999"), says="JSON")
    form = _form(('name="text"', b"x"), ('name="fingerprint"', b"FINGERPRINT"), ('name="vector"', b"[NaN, 1]"))
    yield BadInput("vector: NaN in a form", "/v1/items", **form, param="vector[0]", says="finite")
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


def _text_cases() -> Iterator[BadInput]:
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


def _body_cases() -> Iterator[BadInput]:
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
    yield BadInput("an empty batch", "/v1/items", b'{"items": []}', param="items", says="at least 1")
    many = json.dumps({"items": [{"text": str(i)} for i in range(257)]}).encode()
    yield BadInput("a batch of 257", "/v1/items", many, param="items", says="at most 256")
    yield BadInput("a batch of texts", "/v1/items", b'{"items": ["a"]}', param="items[0]", says="dictionary")
    body = b'{"text": "' + b"a" * (33 << 20) + b'"}'
    large: dict[str, Any] = {"body": body, "status": 413, "says": "over the limit"}
    yield BadInput("a body over the limit", "/v1/items", **large)
    yield BadInput("a body over the limit, its length not declared", "/v1/items", **large, chunked=True)
    yield BadInput("a search over the limit, its length not declared", "/v1/search", **large, chunked=True)
    form = _form(('name="image"; filename="a"', b"\0" * (33 << 20)))
    yield BadInput("a form over the limit, its length not declared", "/v1/items", **form, status=413, chunked=True)


def _form_cases() -> Iterator[BadInput]:
    text = ('name="text"', b"a text")
    yield BadInput("form: a field twice", "/v1/items", **_form(text, text), param="text", says="twice")
    image = ('name="image"; filename="a.jpg"', _image())
    yield BadInput("form: two images", "/v1/items", **_form(image, image), param="image", says="twice")
    yield BadInput("form: no file and no text", "/v1/items", **_form(('name="tags"', b"x")), says="give an image")
    yield BadInput(
        "form: unknown field", "/v1/search", **_form(text, ('name="k"', b"1")), param="k", says="not permitted"
    )
    yield BadInput("form: cut off", "/v1/items", **_form(text, image, end=b""), says="cut off")
    yield BadInput("form: another boundary", "/v1/items", **_form(text, boundary="other"), says="multipart")
    nothing = {"body": _form(text)["body"], "headers": {"content-type": "multipart/form-data"}}
    yield BadInput("form: no boundary", "/v1/items", **nothing, says="boundary")
    yield BadInput("form: no name", "/v1/items", **_form(('filename="x"', b"a")), says="multipart")
    for name, value, says in [
        ("filter", b"{", "JSON"),
        ("filter", b"[" * NESTED, "JSON"),
        ("mix", b"9" * 5000, "JSON"),
        ("top_k", b"ten", "a number"),
        ("min_score", b"nan", "finite"),
    ]:
        bad = _form(text, (f'name="{name}"', value))
        yield BadInput(f"form: {name}={value[:4]!r}", "/v1/search", **bad, param=name, says=says)
    metadata = _form(text, ('name="metadata"', b'{"a": NaN}'))
    yield BadInput("form: metadata NaN", "/v1/items", **metadata, param="metadata.a", says="finite")
    fields = [('name="tags"', b"t")] * 65
    yield BadInput("form: 65 fields", "/v1/items", **_form(text, *fields), says="multipart")


def _search_cases() -> Iterator[BadInput]:
    def search(**query: Any) -> bytes:
        return json.dumps({"text": "a"} | query).encode()

    for value in (0, -1, 10**9, "ten", 1.5, None, True):
        yield BadInput(f"top_k {value!r}", "/v1/search", search(top_k=value), param="top_k")
    huge = b'{"text": "a", "top_k": ' + b"9" * 5000 + b"}"
    yield BadInput("top_k of 5,000 digits", "/v1/search", huge, says="JSON")
    for score in (-1.5, 1.01, "high", True):
        yield BadInput(f"min_score {score!r}", "/v1/search", search(min_score=score), param="min_score")
    yield BadInput("min_score NaN", "/v1/search", search(min_score=float("nan")), param="min_score", says="finite")
    yield BadInput("target", "/v1/search", search(target="video"), param="target", says="'image', 'text' or 'any'")
    yield BadInput("a text and an id", "/v1/search", search(id="x"), says="exactly one")
    yield BadInput("unknown id", "/v1/search", b'{"id": "nobody"}', status=404, param="id", says="nobody")
    yield BadInput("bad id", "/v1/search", b'{"id": "a/b c"}', param="id", says="pattern")
    part = {"text": "red"}
    cancels = search(text=None, mix=[part, part | {"weight": -1}])
    yield BadInput("a mix that cancels out", "/v1/search", cancels, param="mix", says="cancel out")
    yield BadInput("a mix of nothing", "/v1/search", search(text=None, mix=[]), param="mix", says="at least 1")
    yield BadInput("a mix of 17", "/v1/search", search(text=None, mix=[part] * 17), param="mix", says="at most 16")
    heavy = search(text=None, mix=[part | {"weight": 1e9}])
    yield BadInput("a mix too heavy", "/v1/search", heavy, param="mix[0].weight", says="10")
    empty = search(text=None, mix=[part, {"text": " "}])
    yield BadInput("a mix with an empty text", "/v1/search", empty, param="mix[1].text", says="empty")
    gone = search(text=None, mix=[part, {"id": "nobody"}])
    yield BadInput("a mix with an unknown id", "/v1/search", gone, status=404, param="mix[1].id", says="nobody")
    both = search(text=None, mix=[{"text": "a", "id": "b"}])
    yield BadInput("a part that is two things", "/v1/search", both, param="mix[0]", says="not both")
    other = search(fingerprint="0" * 16)
    yield BadInput("another fingerprint", "/v1/search", other, status=409, param="fingerprint", says="FINGERPRINT")


def _filter_cases() -> Iterator[BadInput]:
    deep: Any = {"field": "a", "value": 1}
    for _ in range(20):
        deep = {"not": deep}
    for name, tree, param in [
        ("a text", "year > 3", "filter"),
        ("empty", {}, "filter"),
        ("unknown operator", {"field": "a", "op": "like", "value": "x"}, "filter.op"),
        ("no value", {"field": "a", "op": "eq"}, "filter.value"),
        ("null value", {"field": "a", "value": None}, "filter.value"),
        ("bad field", {"field": "a;drop", "value": 1}, "filter.field"),
        ("unknown key", {"field": "a", "value": 1, "x": 2}, "filter"),
        ("and of nothing", {"and": []}, "filter.and"),
        ("inner fault", {"and": [{"field": "a", "value": 1}, {"or": [{"field": "a", "op": "in", "value": 3}]}]},
         "filter.and[1].or[0].value"),
        ("an order of booleans", {"field": "a", "op": "gt", "value": True}, "filter.value"),
        ("too deep", deep, "filter" + ".not" * 12),
        ("too many", {"or": [{"field": "a", "value": 1}] * 100}, "filter.or[63]"),
        ("a number beyond float64", {"field": "a", "value": 2**60}, "filter.value"),
        ("tags equal", {"field": "tags", "op": "eq", "value": "x"}, "filter.op"),
    ]:  # fmt: skip
        body = json.dumps({"text": "a", "filter": tree}).encode()
        yield BadInput(f"filter: {name}", "/v1/search", body, param=param)


def _item_cases() -> Iterator[BadInput]:
    def item(**fields: Any) -> bytes:
        return json.dumps({"text": "never stored"} | fields).encode()

    image = _b64(_image())
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
    yield BadInput("item: created_at NaN", "/v1/items", item(created_at=float("nan")), says="JSON")
    name = "x" * 1_000_000
    yield BadInput("item: a field of a million letters", "/v1/items", item(**{name: 1}), param=name[:80] + "…")


def _embedding_cases() -> Iterator[BadInput]:
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
    good = _b64(_image())
    for name, texts, images, param in [
        ("no texts", [], [good], "texts"),
        ("no images", ["a"], [], "images"),
        ("an empty text", ["a", ""], [good], "texts[1]"),
        ("a broken image", ["a"], [good, _b64(b"junk")], "images[1]"),
        ("65 texts", ["a"] * 65, [good], "texts"),
    ]:
        body = json.dumps({"texts": texts, "images": images}).encode()
        yield BadInput(f"match: {name}", "/v1/match", body, param=param)


def _route_cases() -> Iterator[BadInput]:
    for method, path, status, param in [
        ("GET", "/nothing/here", 404, "path"),
        ("GET", "/v1/items/nobody", 404, "id"),
        ("DELETE", "/v1/items/nobody", 404, "id"),
        ("GET", "/v1/items/nobody/image", 404, "id"),
        ("GET", "/v1/items/nobody/thumbnail", 404, "id"),
        ("GET", "/v1/items/a%00b", 404, "id"),
        ("GET", "/v1/items/%ED%A0%80", 404, "id"),
        ("GET", "/v1/items/..%2F..%2Fetc%2Fpasswd", 404, "path"),
        ("GET", "/v1/items/" + "a" * 129, 400, "id"),
        ("GET", "/v1/items?limit=0", 400, "limit"),
        ("GET", "/v1/items?limit=many", 400, "limit"),
        ("GET", "/v1/items?after=" + "a" * 129, 400, "after"),
        ("GET", "/v1/search", 405, "method"),
        ("PUT", "/v1/items", 405, "method"),
    ]:
        yield BadInput(f"{method} {path[:40]}", path, method=method, status=status, param=param)
    yield BadInput("lookup: no ids", "/v1/items/lookup", b'{"ids": []}', param="ids", says="at least 1")
    yield BadInput("lookup: a bad id", "/v1/items/lookup", b'{"ids": ["ok", "a b"]}', param="ids[1]", says="pattern")


def bad_inputs() -> list[BadInput]:
    """The whole table."""
    groups = (
        _image_cases, _vector_cases, _text_cases, _body_cases, _form_cases, _search_cases, _filter_cases, _item_cases,
        _embedding_cases, _route_cases,
    )  # fmt: skip
    return [case for group in groups for case in group()]


def with_fingerprint(case: BadInput, fingerprint: str) -> bytes:
    """The case's body under the fingerprint of what runs."""
    return case.body.replace(b"FINGERPRINT", fingerprint.encode())


def check_refusal(case: BadInput, fingerprint: str, status: int, content: Any) -> None:
    """Asserts that an answer is the one the table asks for."""
    assert status == case.status, f"{case.name}: {status} {content}"
    error = content["error"]
    assert error["param"] == case.param, f"{case.name}: {error}"
    assert error["code"], case.name
    assert error["message"], case.name
    assert len(error["message"]) < 600, f"{case.name}: the message is not for people"
    assert case.says.replace("FINGERPRINT", fingerprint) in error["message"], f"{case.name}: {error['message']}"
