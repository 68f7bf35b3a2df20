"""Small image files."""

from __future__ import annotations

import io

from PIL import Image


def picture(kind: str = "PNG", colour: str | tuple[int, int, int] = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(out, kind)
    return out.getvalue()
