"""What an embedding is cached under: the content itself and everything that decides the vector's numbers."""

from __future__ import annotations

import hashlib

from encoders.base import EncoderInput, Role


def cache_key(item: EncoderInput, role: Role, fingerprint: str) -> bytes:
    """The 32 bytes of a SHA-256 over contract, role, text and image bytes; never over a name, an address or a size.

    Each part is preceded by its length, and an absent part is not an empty one, so that no two inputs share a key.
    The role counts because an encoder with instructions gives a query and a document different vectors.
    """
    digest = hashlib.sha256()
    text = None if item.text is None else item.text.encode("utf-8", "surrogatepass")
    for part in (fingerprint.encode(), role.encode(), text, item.image):
        digest.update(b"-" if part is None else b"%d:" % len(part))
        if part is not None:
            digest.update(part)
    return digest.digest()
