"""Thumbnails: small WebP files that show an image as it is seen, and say nothing else of it."""

from __future__ import annotations

import io

from PIL import Image

from encoders.images import ImageLimits, decoded_first_frame, to_rgb

MIME = "image/webp"
QUALITY = 80
METHOD = 2
"""libwebp's effort, 0 to 6. Of photos at 256 px: 2.4 CPU-ms and 6.4 KiB; 4 takes 4.1 ms for 6.2 KiB."""


def thumbnail(data: bytes, limits: ImageLimits, side_px: int) -> bytes:
    """A WebP of the first frame that fits a square of `side_px`: upright, in sRGB, transparency on white, never
    enlarged, without EXIF, profiles or comments.

    Raises InputError like `encoders.images.decode`.
    """
    image = decoded_first_frame(data, limits, at_least_px=side_px)
    profile = image.info.get("icc_profile")
    if image.mode != "CMYK":  # whose profile says how its inks look; without it, Pillow's plain formula
        image = to_rgb(image)
    image.thumbnail((side_px, side_px), Image.Resampling.BICUBIC)
    image = to_rgb(_in_srgb(image, profile))
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=METHOD)
    return out.getvalue()


def is_thumbnail(data: bytes) -> bool:
    """Whether a file is a whole WebP: one that was cut off says in its header how long it should be (RFC 9649, 2.4)."""
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return is_webp and len(data) == 8 + int.from_bytes(data[4:8], "little")


def _in_srgb(image: Image.Image, profile: object) -> Image.Image:
    """The colours that the profile means. One that is damaged, or of another colour space than the image, is ignored,
    as browsers do."""
    if not isinstance(profile, bytes) or not profile:
        return image
    from PIL import ImageCms

    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if embedded.profile.xcolor_space.strip() != image.mode:
            return image
        converted = ImageCms.profileToProfile(image, embedded, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted
