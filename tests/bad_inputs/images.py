"""Images that must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.bad_inputs.case import DIM, BadInput
from tests.bad_inputs.content import b64, form, picture, png_claiming


def image_cases() -> Iterator[BadInput]:
    jpeg, webp = picture(), picture("WEBP")
    bad: list[tuple[str, bytes, str]] = [
        ("empty", b"", "0 bytes"),
        ("truncated JPEG", jpeg[: len(jpeg) // 2], "decoded"),
        ("truncated PNG", picture("PNG")[:3000], "decoded"),
        ("truncated WebP", webp[: len(webp) // 2], ""),
        ("only a signature", b"\xff\xd8\xff", "damaged"),
        ("bomb", png_claiming(60_000, 60_000), "60000×60000 pixels"),
        ("0×0 pixels", png_claiming(0, 0), "no pixels"),
        ("a lying header", png_claiming(500, 500), "decoded"),
        ("a text", b"this is not a picture", "not an image of a kind"),
        ("a PDF", b"%PDF-1.7\n" + b"0" * 100, "not an image of a kind"),
        ("an SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image of a kind"),
        ("random after a GIF's signature", b"GIF89a" + bytes(range(200)), ""),
    ]
    for name, data, says in bad:
        body = json.dumps({"image": b64(data), "tags": ["bad"]}).encode()
        yield BadInput(f"item image: {name}", "/v1/items", body, param="image", says=says)
    whole = json.dumps({"image": b64(jpeg[: len(jpeg) // 2])}).encode()
    yield BadInput("search image: truncated", "/v1/search", whole, param="image", says="decoded")
    vector = {"vector": [1.0] + [0.0] * (DIM - 1), "fingerprint": "FINGERPRINT"}
    cut = json.dumps({"image": b64(jpeg[: len(jpeg) // 2]), **vector}).encode()
    yield BadInput("import of a truncated image", "/v1/items", cut, param="image", says="decoded")
    part = ('name="image"; filename="a.png"', b"not a png")
    yield BadInput("mislabelled file", "/v1/items", **form(part), param="image", says="not an image of a kind")
    large = json.dumps({"image": b64(b"\xff\xd8\xff" + b"\0" * (21 << 20))}).encode()
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
