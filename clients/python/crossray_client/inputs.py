"""What a caller gives: texts, images, stored items, and new items to store."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

ImageSource: TypeAlias = bytes | os.PathLike[str]
"""An image's file as bytes, or the path of one. Never a string: it could be a path that a stranger chose."""

Scalar: TypeAlias = str | int | float | bool


def check_image(image: ImageSource) -> None:
    """Raises TypeError for what is neither bytes nor a path."""
    if not isinstance(image, bytes | os.PathLike):
        raise TypeError(f"an image is bytes or a pathlib.Path, not {type(image).__name__}")


def image_text(image: ImageSource) -> str:
    """An image as JSON carries it: base64. Reads a path's file, and may raise OSError."""
    check_image(image)
    data = image if isinstance(image, bytes) else Path(image).read_bytes()
    return base64.b64encode(data).decode("ascii")


@dataclass(frozen=True, slots=True)
class Content:
    """A text, an image, both as one, or a stored item by its id alone."""

    text: str | None = None
    image: ImageSource | None = None
    id: str | None = None

    def body(self) -> dict[str, Any]:
        image = None if self.image is None else image_text(self.image)
        return given(text=self.text, image=image, id=self.id)


@dataclass(frozen=True, slots=True)
class Part(Content):
    """One part of a weighted mix; a negative weight pushes away."""

    weight: float = 1.0

    def body(self) -> dict[str, Any]:
        return Content.body(self) | {"weight": self.weight}


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to store: an image, a text, or both. Without an `id` its content's hash is the id.

    `created_at` is in seconds since the epoch. A ready-made `vector` needs the `fingerprint` of its embedding space.
    `ocr_text` is what was read off the image already, empty for none.
    """

    image: ImageSource | None = None
    text: str | None = None
    id: str | None = None
    source: str = ""
    tags: Sequence[str] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    created_at: float | None = None
    vector: Sequence[float] | None = None
    fingerprint: str | None = None
    ocr_text: str | None = None
    collection: str | None = None

    def fields(self) -> dict[str, Any]:
        """Everything but the image."""
        always = {"source": self.source, "tags": list(self.tags), "metadata": dict(self.metadata)}
        vector = None if self.vector is None else list(self.vector)
        return always | given(
            text=self.text,
            id=self.id,
            created_at=self.created_at,
            vector=vector,
            fingerprint=self.fingerprint,
            ocr_text=self.ocr_text,
            collection=self.collection,
        )

    def body(self) -> dict[str, Any]:
        return self.fields() | ({} if self.image is None else {"image": image_text(self.image)})


def given(**fields: Any) -> dict[str, Any]:
    """The fields that were given: the others are left to the server's defaults."""
    return {name: value for name, value in fields.items() if value is not None}
