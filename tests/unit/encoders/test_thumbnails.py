"""Thumbnails: what is seen, upright and in sRGB, and nothing else that the file says."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from encoders import InputError
from encoders.images import ImageLimits
from encoders.thumbnails import is_thumbnail, thumbnail

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def halves(left: Any = RED, right: Any = BLUE, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (400, 200), left)
    image.paste(right, (200, 0, 400, 200))
    return image


def small(data: bytes, side_px: int = 100) -> Image.Image:
    made = thumbnail(data, ImageLimits(), side_px)
    assert is_thumbnail(made)
    image = Image.open(io.BytesIO(made))
    assert (image.format, image.mode, getattr(image, "n_frames", 1)) == ("WEBP", "RGB", 1)
    return image


def assert_near(image: Image.Image, at: tuple[int, int], colour: tuple[int, int, int], tolerance: int = 14) -> None:
    pixel = np.asarray(image.convert("RGB"))[at[1], at[0]].astype(int)
    assert np.abs(pixel - colour).max() <= tolerance, f"{pixel} at {at} is not {colour}"


def test_they_fit_and_never_grow() -> None:
    assert small(saved(halves())).size == (100, 50)
    assert small(saved(halves()), 1000).size == (400, 200)
    assert small(saved(Image.new("RGB", (1, 1)))).size == (1, 1)
    assert small(saved(Image.new("RGB", (3000, 2)))).size == (100, 1)


def test_nothing_is_left_of_what_a_photo_tells() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    noted = PngImagePlugin.PngInfo()
    noted.add_text("Comment", "hush")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        saved(halves(), "JPEG", exif=exif, icc_profile=profile, comment=b"hush", xmp=b"<hush/>"),
        saved(halves(), "PNG", exif=exif, icc_profile=profile, pnginfo=noted),
        saved(halves(), "WEBP", exif=exif, icc_profile=profile, xmp=b"<hush/>"),
        saved(halves(), "TIFF", exif=exif, icc_profile=profile),
    ):
        image = small(data)
        assert not image.getexif()
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)
        made = thumbnail(data, ImageLimits(), 100)
        assert not any(trace in made for trace in (b"hush", b"camera", b"EXIF", b"ICCP", b"XMP"))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_they_are_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned clockwise: what is left comes to the top
    image = small(saved(halves(), kind, exif=exif))
    assert image.size == (50, 100)
    assert_near(image, (25, 10), RED)
    assert_near(image, (25, 90), BLUE)


def exchanged_profile() -> bytes:
    """sRGB with red and green exchanged: what the file calls red is seen as green."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return plain.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colours_are_those_that_the_profile_means(kind: str) -> None:
    image = small(saved(halves(), kind, icc_profile=exchanged_profile(), quality=95))
    assert_near(image, (20, 25), GREEN)
    assert_near(image, (80, 25), BLUE)


@pytest.mark.parametrize("profile", [b"no profile", exchanged_profile()[:200]], ids=["none", "cut off"])
def test_a_damaged_profile_is_ignored(profile: bytes) -> None:
    assert_near(small(saved(halves(), icc_profile=profile)), (20, 25), RED)


def test_a_profile_of_another_colour_space_is_ignored() -> None:
    grey = small(saved(Image.new("L", (300, 300), 100), icc_profile=exchanged_profile()))
    assert_near(grey, (50, 50), (100, 100, 100))
    cmyk = small(saved(Image.new("CMYK", (300, 300), (0, 255, 255, 0)), "JPEG", icc_profile=exchanged_profile()))
    assert_near(cmyk, (50, 50), RED)


def test_every_mode_is_taken() -> None:
    deep = Image.fromarray(np.full((200, 400), 0x8000, dtype=np.uint16))
    assert_near(small(saved(deep)), (50, 25), (128, 128, 128))
    assert_near(small(saved(Image.new("CMYK", (400, 200), (0, 255, 255, 0)), "JPEG")), (50, 25), RED)
    assert_near(small(saved(halves((255, 0, 0, 0), BLUE, "RGBA"))), (20, 25), WHITE)
    assert_near(small(saved(halves((255, 0, 0, 0), BLUE, "RGBA").quantize())), (20, 25), WHITE)
    assert_near(small(saved(halves(RED, BLUE).quantize(), "GIF")), (80, 25), BLUE)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (300, 300), colour) for colour in (RED, GREEN)]
    assert_near(small(saved(frames[0], kind, save_all=True, append_images=frames[1:])), (50, 50), RED)


def test_what_is_no_image_is_refused() -> None:
    for data in (b"", b"not a picture", saved(halves())[:300]):
        with pytest.raises(InputError):
            thumbnail(data, ImageLimits(), 100)


def test_only_a_whole_thumbnail_is_one() -> None:
    made = thumbnail(saved(halves()), ImageLimits(), 100)
    assert is_thumbnail(made)
    for other in (b"", made[:-1], made[:11], b"\0" * len(made), saved(halves())):
        assert not is_thumbnail(other)
