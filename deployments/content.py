"""Content addresses: the default id of an item, and what makes indexing idempotent."""

from __future__ import annotations

import hashlib


def content_id(image: bytes | None, text: str | None) -> str:
    """32 hex digits of sha256 over the image's file bytes and the text. Equal content, equal id; no field can be
    mistaken for another, because each is hashed on its own first."""
    parts = (
        hashlib.sha256(image).digest() if image is not None else b"",
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() if text is not None else b"",
    )
    return hashlib.sha256(b"image:" + parts[0] + b"text:" + parts[1]).hexdigest()[:32]
