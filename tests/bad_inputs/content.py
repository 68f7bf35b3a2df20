"""Pictures and forms to build bad requests from."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from random import Random
from typing import Any

from PIL import Image


def picture(kind: str = "JPEG", size: tuple[int, int] = (96, 64)) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", size, Random(0).randbytes(3 * size[0] * size[1])).save(out, kind)
    return out.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few pixels do not have."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def form(*parts: tuple[str, bytes], end: bytes = b"--cut--\r\n", boundary: str = "cut") -> dict[str, Any]:
    """A multipart body; a part is the header's text after `form-data; ` and the content."""
    body = b"".join(
        b"--cut\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return {"body": body + end, "headers": {"content-type": f"multipart/form-data; boundary={boundary}"}}
