"""What the load consists of: distinct texts, and distinct JPEG files of real photographs."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Iterator, Sequence

from PIL import Image

from cluster.demo.photos import bundled_photos

LONG_SIDE_PX = 640
MIN_PHOTO_BYTES = 50_000
MAX_PHOTO_BYTES = 100_000
_SUBJECTS = ("a dog", "two horses", "an old bridge", "a red car", "people", "a cat", "the moon", "a cup of coffee")
_PLACES = ("on the beach", "in the snow", "at night", "in a garden", "by the river", "on a table", "in the street")


def fresh_numbers() -> Iterator[int]:
    """Counts from a random place on, so that no cache has seen what an earlier run made of its numbers."""
    return itertools.count(random.randrange(1 << 40))


def text(number: int) -> str:
    """A short query; two numbers never give the same."""
    subject = _SUBJECTS[number % len(_SUBJECTS)]
    return f"{subject} {_PLACES[number // len(_SUBJECTS) % len(_PLACES)]} number {number}"


def photos() -> list[bytes]:
    """The photographs of the scikit-image and scikit-learn wheels as JPEG files of 50 to 100 KB.

    A photo too plain to fill 50 KB at quality 98 is left out.
    """
    found = []
    for path in bundled_photos().values():
        with Image.open(path) as image:
            found.append(as_jpeg(image.convert("RGB")))
    return [photo for photo in found if photo is not None]


def as_jpeg(image: Image.Image) -> bytes | None:
    """The image at its usual size as a JPEG file of 50 to 100 KB; None where no quality gives that."""
    scale = LONG_SIDE_PX / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    for quality in (75, 85, 92, 96, 98):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if MIN_PHOTO_BYTES <= buffer.tell() <= MAX_PHOTO_BYTES:
            return buffer.getvalue()
    return None


def distinct(photo: bytes, mark: str) -> bytes:
    """The same picture as another file: a comment segment (ITU-T T.81, B.2.4.5) after the start of image."""
    comment = mark.encode()
    return photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + photo[2:]


class DistinctPhotos:
    """An endless supply of photo files, no two with the same bytes."""

    def __init__(self, originals: Sequence[bytes] = ()) -> None:
        """Of these photos, or of those that `photos` finds."""
        self._photos = originals or photos()
        self._marks = fresh_numbers()

    def __call__(self) -> bytes:
        mark = next(self._marks)
        return distinct(self._photos[mark % len(self._photos)], f"{mark}")
