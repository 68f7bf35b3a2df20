"""Damaged images to try an API with: files of every kind that is taken, broken in the ways that decoders trip over.

Case `number` of a seed is always the same bytes, so that a failure can be had again by its number.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from PIL import ExifTags, Image

SIZE = (67, 41)
"""Odd, so that rows are padded."""
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
LENGTHS = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _noise(mode: str) -> Image.Image:
    """Pixels that do not compress away."""
    draw = random.Random(mode)
    if mode == "I;16":
        return Image.frombytes(mode, SIZE, draw.randbytes(SIZE[0] * SIZE[1] * 2))
    if mode == "1":
        return _noise("L").convert("1")
    image = Image.frombytes(mode, SIZE, draw.randbytes(SIZE[0] * SIZE[1] * len(Image.new(mode, (1, 1)).getbands())))
    if mode == "P":
        image.putpalette(draw.randbytes(768))
    return image


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "a camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    return exif


@cache
def whole_images() -> tuple[bytes, ...]:
    """Files that decode: each kind in the modes and with the options that take another path through its decoder."""
    frames = {"save_all": True, "append_images": [_noise("RGB")], "duration": 40}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("JPEG", "RGB", {}),
        ("JPEG", "RGB", {"progressive": True, "exif": _exif(), "comment": b"a note"}),
        ("JPEG", "L", {"quality": 20}),
        ("JPEG", "CMYK", {"subsampling": 0}),
        ("JPEG", "RGB", {"restart_marker_blocks": 2}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {"exif": _exif()}),
        ("PNG", "P", {"transparency": 3}),
        ("PNG", "I;16", {}),
        ("PNG", "1", {}),
        ("PNG", "RGB", frames),
        ("GIF", "P", {}),
        ("GIF", "RGB", frames),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("BMP", "1", {}),
        ("WEBP", "RGB", {"exif": _exif()}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGB", frames),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", "L", {"compression": "packbits", "exif": _exif()}),
        ("TIFF", "1", {"compression": "group4"}),
        ("TIFF", "RGB", {"compression": "jpeg"}),
        ("TIFF", "I;16", {}),
    ]
    return tuple(_saved(_noise(mode), kind, options) for kind, mode, options in ways)


def _saved(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def hostile_image(seed: int, number: int) -> bytes:
    """One case: one to four damages to one of `whole_images`."""
    draw = random.Random(f"{seed}:{number}")
    data = draw.choice(whole_images())
    for _ in range(draw.choice((1, 1, 2, 4))):
        data = draw.choice(DAMAGES)(data, draw)
    if data.startswith(PNG_SIGNATURE) and draw.random() < 0.75:
        data = _with_right_checksums(data)
    return data


def _flip_bits(data: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 2, 8, 64))):
        if damaged:
            damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def _set_extreme(data: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(draw.choice((1, 4))):
        if damaged:
            damaged[draw.randrange(len(damaged))] = draw.choice(EXTREMES)
    return bytes(damaged)


def _lie_in_the_header(data: bytes, draw: random.Random) -> bytes:
    """A length, a count or an offset near the beginning, where headers are."""
    at = draw.randrange(min(len(data), 256) + 1)
    number = draw.choice(LENGTHS)
    order = draw.choice("<>")
    lie = struct.pack(f"{order}I", number) if draw.random() < 0.6 else struct.pack(f"{order}H", number & 0xFFFF)
    return data[:at] + lie + data[at + len(lie) :]


def _cut_off(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _leave_out(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 3, 50)) + data[end:]


def _insert_noise(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.randbytes(draw.choice((1, 16, 4096))) + data[at:]


def _graft(data: bytes, draw: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    other = draw.choice(whole_images())
    return data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other)) :]


def _append_another(data: bytes, draw: random.Random) -> bytes:
    return data + draw.choice(whole_images())


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_bits,
    _set_extreme,
    _lie_in_the_header,
    _lie_in_the_header,
    _cut_off,
    _leave_out,
    _repeat,
    _insert_noise,
    _graft,
    _append_another,
)


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((1, 4, 64, 1024)))


def _with_right_checksums(data: bytes) -> bytes:
    """A PNG whose chunks say the right CRC, so that what is damaged in them reaches the decoder."""
    mended, at = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        if at + 12 + length > len(data):
            break
        mended.append(data[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big"))
        at += 12 + length
    return b"".join(mended) + data[at:]
