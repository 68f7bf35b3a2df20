"""Decoding of image files that strangers send: limits first, then pixels.

Formats are told apart by their first bytes, never by a name or a declared type, and only JPEG, PNG (the first frame of
an APNG), WebP, GIF, BMP and TIFF are opened. Width and height are read from the header and held against the limit
before anything is decoded. Whatever Pillow raises on hostile bytes becomes an InputError about this one image.

This module knows nothing of models: their resizing is theirs. Pillow's global MAX_IMAGE_PIXELS is neither relied on
nor changed: its decoders are called directly, which leaves `ImageLimits.max_pixels` as the only limit.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from encoders.decode_time import counted
from encoders.errors import InputError

PREPROCESSING_VERSION = 1
"""Raise it when `decode` gives other pixels for the same bytes: it is part of every vector contract."""

_PILLOW_WARNS_ABOVE = 89_478_485
_EXIF_ORIENTATION = 0x0112
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_DECODERS = {
    "image/jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "image/png": ("PIL.PngImagePlugin", "PngImageFile"),
    "image/gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "image/bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "image/tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "image/webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
}
SUPPORTED_MIMES = tuple(_DECODERS)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may cost. A decoded pixel takes three to four bytes of memory."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 64_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes is {self.max_bytes}: it must be at least 1")
        if not 1 <= self.max_pixels <= _PILLOW_WARNS_ABOVE:
            raise ValueError(f"max_pixels is {self.max_pixels}: it must be from 1 to {_PILLOW_WARNS_ABOVE}")


@dataclass(frozen=True, slots=True)
class ImageProbe:
    """What a header says. Width and height in pixels, as the image is looked at: EXIF orientation is applied."""

    mime: str
    width: int
    height: int


def sniff(data: bytes) -> str | None:
    """The MIME type that the first bytes tell, or None when it is none of SUPPORTED_MIMES."""
    for magic, mime in _SIGNATURES:
        if data.startswith(magic):
            return mime
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def probe(data: bytes, limits: ImageLimits) -> ImageProbe:
    """Type and size from the header alone, in well under a millisecond: for an ingress that refuses before it queues.

    Raises InputError like `decode`, though a damaged body is seen only by `decode`.
    """
    image, mime = _open(data, limits)
    width, height = image.size
    # Pillow's TIFF reader applies the orientation itself, and reports the size after it.
    if mime != "image/tiff" and _orientation(image) >= 5:
        width, height = height, width
    return ImageProbe(mime, width, height)


def decode(data: bytes, limits: ImageLimits, at_least_px: int | None = None) -> Image.Image:
    """An upright 8-bit RGB image: first frame, EXIF orientation applied, transparency on white, 16 bits scaled to 8.

    Where `at_least_px` is given, a JPEG may come out at a half, a quarter or an eighth of its size, with both sides
    still at least that long: libjpeg's scaled inverse DCT, which costs a fraction of a full decode.

    Raises InputError, `param` "image", with one of the codes `image_empty`, `image_too_large` (bytes),
    `image_too_many_pixels`, `image_unsupported` (not an image, or of a kind not taken) and `image_corrupt`.
    """
    with counted():
        image = decoded_first_frame(data, limits, at_least_px)
        with _as_input_error():
            return to_rgb(image)


def decoded_first_frame(data: bytes, limits: ImageLimits, at_least_px: int | None = None) -> Image.Image:
    """As `decode`, in the file's own mode."""
    image, mime = _open(data, limits)
    with _as_input_error():
        if at_least_px is not None and mime == "image/jpeg":
            image.draft(None, (at_least_px, at_least_px))
        image.load()
        return image if mime == "image/tiff" else _upright(image)


@contextlib.contextmanager
def _as_input_error() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise InputError(f"the image cannot be decoded: {error}", code="image_corrupt", param="image") from error


def _open(data: bytes, limits: ImageLimits) -> tuple[ImageFile, str]:
    """The image with its header read and its size within the limits, nothing decoded yet."""
    if not data:
        raise InputError("the image is empty: 0 bytes", code="image_empty", param="image")
    if len(data) > limits.max_bytes:
        message = f"the image has {len(data)} bytes, and at most {limits.max_bytes} are taken"
        raise InputError(message, code="image_too_large", param="image")
    mime = sniff(data)
    if mime is None:
        kinds = ", ".join(name.removeprefix("image/").upper() for name in SUPPORTED_MIMES)
        raise InputError(
            f"this is not an image of a kind that is taken: {kinds}", code="image_unsupported", param="image"
        )
    try:
        declared = _declared_size(data, mime)
        if declared is not None:
            _require_size(declared, limits)
        module, name = _DECODERS[mime]
        image: ImageFile = getattr(import_module(module), name)(io.BytesIO(data))
    except InputError:
        raise
    except Exception as error:
        message = f"the header of the {mime} image is damaged: {error}"
        raise InputError(message, code="image_corrupt", param="image") from error
    _require_size(image.size, limits)
    return image, mime


def _require_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"the image has no pixels: {width}×{height}", code="image_empty", param="image")
    if width * height > limits.max_pixels:
        message = f"the image has {width}×{height} pixels, and at most {limits.max_pixels} are taken"
        raise InputError(message, code="image_too_many_pixels", param="image")


def _declared_size(data: bytes, mime: str) -> tuple[int, int] | None:
    """Width and height where they must be known before Pillow's reader is made; None for the other kinds.

    libwebp allocates the canvas when its decoder is made (sizes: RFC 9649, section 2), and Pillow calls a PNG without
    pixels no PNG (its size: the first chunk, IHDR).
    """
    if mime == "image/png":
        width, height = struct.unpack_from(">II", data, 16)
        return (width, height)
    if mime != "image/webp":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return (int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return ((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return (width & 0x3FFF, height & 0x3FFF)
    raise ValueError("no VP8, VP8L or VP8X chunk")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8. Damaged EXIF is common and harmless: it counts as upright."""
    raw = image.info.get("exif")
    if not isinstance(raw, bytes):
        return 1
    try:
        exif = Image.Exif()
        exif.load(raw)
        value = exif.get(_EXIF_ORIENTATION, 1)
    except Exception:
        return 1
    return value if value in _TRANSPOSE else 1


def _upright(image: Image.Image) -> Image.Image:
    method = _TRANSPOSE.get(_orientation(image))
    return image if method is None else image.transpose(method)


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB: transparency on white, deeper greys scaled to 8 bits."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    # A copy where nothing has to change would cost a photo's worth of memory.
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(
    levels: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Grey levels of 16 or 32 bits, or floats, to 0…255: by the type's range where it has one, else by its extremes."""
    values = np.nan_to_num(np.asarray(levels, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    if np.issubdtype(levels.dtype, np.floating):
        low, high = (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high)
    elif low >= 0.0 and high <= 65535.0:
        low, high = 0.0, 65535.0
    return np.asarray(np.rint((values - low) * (255.0 / max(high - low, 1e-12))), dtype=np.uint8)
