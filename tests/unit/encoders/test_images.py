"""Decoding, over images made here: each hard kind by its pixels, each bad kind by its error."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from encoders import InputError
from encoders.images import ImageLimits, decode, probe, sniff

LIMITS = ImageLimits()
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def halves(left: tuple[int, int, int] = RED, right: tuple[int, int, int] = BLUE) -> Image.Image:
    """64 wide, 32 high."""
    image = Image.new("RGB", (64, 32), left)
    image.paste(right, (32, 0, 64, 32))
    return image


def near(pixel: object, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(np.abs(np.subtract(pixel, colour)).max() <= tolerance)  # type: ignore[arg-type]


def png(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG of this size in its header, 8-bit grey, whatever its body."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_kind_gives_its_pixels(kind: str) -> None:
    data = saved(halves(), kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    image = decode(data, LIMITS)
    assert (image.mode, image.size) == ("RGB", (64, 32))
    assert near(image.getpixel((8, 8)), RED)
    assert near(image.getpixel((56, 24)), BLUE)
    assert sniff(data) == f"image/{kind.lower()}"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_puts_the_image_upright(kind: str, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), WHITE)
    upright.paste(RED, (0, 0, 32, 16))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transpositions that store it so
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, kind, exif=exif.tobytes(), **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    image = decode(data, LIMITS)
    found = probe(data, LIMITS)
    assert image.size == (64, 32) == (found.width, found.height)
    assert near(image.getpixel((8, 4)), RED, 30)
    assert near(image.getpixel((56, 4)), WHITE, 30)
    assert near(image.getpixel((8, 28)), WHITE, 30)


def test_cmyk_jpeg_is_not_inverted() -> None:
    assert near(decode(saved(halves().convert("CMYK"), "JPEG", quality=95), LIMITS).getpixel((8, 8)), RED, 20)


def test_cmyk_tiff() -> None:
    assert near(decode(saved(halves().convert("CMYK"), "TIFF"), LIMITS).getpixel((8, 8)), RED)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(kind: str) -> None:
    levels = np.array([[0, 16384, 32768, 65535]], dtype=np.uint16).repeat(4, axis=0)
    image = decode(saved(Image.fromarray(levels), kind), LIMITS)
    assert [image.getpixel((x, 0))[0] for x in range(4)] == [0, 64, 128, 255]  # type: ignore[index]


@pytest.mark.parametrize("high", [1.0, 4000.0])
def test_float_tiff_is_scaled_by_its_extremes(high: float) -> None:
    levels = np.array([[0.0, high / 2, high, np.nan]], dtype=np.float32)
    image = decode(saved(Image.fromarray(levels), "TIFF"), LIMITS)
    assert [image.getpixel((x, 0))[0] for x in range(4)] == [0, 128, 255, 0]  # type: ignore[index]


def test_32_bit_grey_beyond_16_bits() -> None:
    levels = np.array([[0, 500_000, 1_000_000]], dtype=np.int32)
    image = decode(saved(Image.fromarray(levels), "TIFF"), LIMITS)
    assert [image.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]  # type: ignore[index]


def transparent_palette() -> bytes:
    image = halves().quantize(4)
    index = image.getpixel((56, 8))
    return saved(image, "PNG", transparency=index)


def rgba() -> Image.Image:
    image = halves().convert("RGBA")
    image.paste((0, 0, 0, 0), (32, 0, 64, 32))
    return image


def grey_alpha() -> Image.Image:
    image = Image.new("LA", (64, 32), (0, 0))
    image.paste((76, 255), (0, 0, 32, 32))
    return image


@pytest.mark.parametrize(
    ("data", "left"),
    [
        pytest.param(transparent_palette(), RED, id="palette"),
        pytest.param(saved(rgba(), "PNG"), RED, id="rgba-png"),
        pytest.param(saved(rgba(), "WEBP", lossless=True), RED, id="rgba-webp"),
        pytest.param(saved(rgba(), "TIFF"), RED, id="rgba-tiff"),
        pytest.param(saved(rgba(), "GIF"), RED, id="gif"),
        pytest.param(saved(grey_alpha(), "PNG"), (76, 76, 76), id="grey-alpha"),
        pytest.param(saved(halves(), "PNG", transparency=BLUE), RED, id="rgb-with-a-transparent-colour"),
    ],
)
def test_transparency_is_white(data: bytes, left: tuple[int, int, int]) -> None:
    image = decode(data, LIMITS)
    assert near(image.getpixel((8, 8)), left)
    assert near(image.getpixel((56, 8)), WHITE)


def test_half_transparent_is_half_white() -> None:
    assert near(
        decode(saved(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), "PNG"), LIMITS).getpixel((4, 4)), (255, 127, 127)
    )


def test_one_bit_images() -> None:
    assert decode(saved(Image.new("1", (8, 8), 1), "PNG"), LIMITS).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, BLUE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert near(decode(data, LIMITS).getpixel((16, 16)), RED)


def test_a_name_or_a_declared_type_plays_no_part() -> None:
    assert probe(saved(halves(), "PNG"), LIMITS).mime == "image/png"
    assert probe(b"BM" + saved(halves(), "BMP")[2:], LIMITS).mime == "image/bmp"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_counts_as_upright() -> None:
    data = saved(halves(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode(data, LIMITS).size == (64, 32)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


JPEG = saved(noise(200, 100), "JPEG")
WEBP_BOMB = b"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00" + bytes(4) + b"\xff\x3f\x00" * 2
GIF_BOMB = (
    b"GIF89a"
    + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0)
    + b","
    + struct.pack("<HHHHBB", 0, 0, 65535, 65535, 0, 2)
    + b"\x00;"
)
BMP_BOMB = b"BM" + bytes(12) + struct.pack("<IiiHHIIIIII", 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
TIFF_BOMB = saved(Image.new("1", (9000, 9000)), "TIFF", compression="group4")

BAD = {
    "nothing": (b"", "image_empty"),
    "too many bytes": (JPEG + bytes(LIMITS.max_bytes), "image_too_large"),
    "text": (b"hello, I am not an image", "image_unsupported"),
    "html": (b"<html><body>404</body></html>", "image_unsupported"),
    "pdf": (b"%PDF-1.7\n", "image_unsupported"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image_unsupported"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(64), "image_unsupported"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "image_unsupported"),
    "zeros": (bytes(1000), "image_unsupported"),
    "jpeg cut in its header": (JPEG[:10], "image_corrupt"),
    "jpeg cut in its body": (JPEG[: len(JPEG) // 2], "image_corrupt"),
    "png cut": (saved(noise(64, 64), "PNG")[:-2000], "image_corrupt"),
    "webp cut": (saved(noise(64, 64), "WEBP")[:-500], "image_corrupt"),
    "gif cut": (saved(noise(64, 64), "GIF")[:-2000], "image_corrupt"),
    "tiff cut": (saved(noise(64, 64), "TIFF")[:-2000], "image_corrupt"),
    "bmp cut": (saved(noise(64, 64), "BMP")[:-2000], "image_corrupt"),
    "webp of nothing": (b"RIFF\x04\x00\x00\x00WEBP", "image_corrupt"),
    "png of a wrong body": (png(64, 64, b"abc"), "image_corrupt"),
    "0×0": (png(0, 0), "image_empty"),
    "0 wide": (png(0, 5), "image_empty"),
    "gif without a frame": (b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b";", "image_corrupt"),
    "png bomb": (png(60_000, 60_000), "image_too_many_pixels"),
    "webp bomb": (WEBP_BOMB, "image_too_many_pixels"),
    "gif bomb": (GIF_BOMB, "image_too_many_pixels"),
    "bmp bomb": (BMP_BOMB, "image_too_many_pixels"),
    "tiff bomb": (TIFF_BOMB, "image_too_many_pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_say_why(name: str) -> None:
    data, code = BAD[name]
    with pytest.raises(InputError) as caught:
        decode(data, LIMITS)
    assert (caught.value.code, caught.value.param) == (code, "image")
    assert str(caught.value)


def test_limits_are_inclusive_and_ours() -> None:
    data = saved(halves(), "PNG")
    assert decode(data, ImageLimits(max_bytes=len(data), max_pixels=64 * 32)).size == (64, 32)
    for limits in (ImageLimits(max_bytes=len(data) - 1), ImageLimits(max_pixels=64 * 32 - 1)):
        with pytest.raises(InputError):
            probe(data, limits)


def test_pillows_own_limit_is_left_alone() -> None:
    before = Image.MAX_IMAGE_PIXELS
    decode(saved(halves(), "PNG"), LIMITS)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("limits", [{"max_bytes": 0}, {"max_pixels": 0}, {"max_pixels": 200_000_000}])
def test_senseless_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="max_"):
        ImageLimits(**limits)


def test_a_probe_does_not_decode() -> None:
    assert probe(JPEG[: len(JPEG) // 2], LIMITS).width == 200
    assert probe(png(5000, 4000), LIMITS).height == 4000


def test_a_smaller_decode_keeps_both_sides_long_enough() -> None:
    data = saved(noise(1600, 900), "JPEG")
    assert decode(data, LIMITS).size == (1600, 900)
    assert decode(data, LIMITS, at_least_px=260).size == (800, 450)
