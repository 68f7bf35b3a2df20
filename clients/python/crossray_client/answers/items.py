"""Stored items, and what a write answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossray_client.inputs import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFields:
    """What is told of an item wherever one is. `kind` is text, image or image_text; `created_at` is in seconds since
    the epoch; `ocr_text` was read off the image, None until then."""

    id: str
    kind: str
    text: str | None = None
    source: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Scalar] = field(default_factory=dict)
    mime: str | None = None
    width: int = 0
    height: int = 0
    created_at: float = 0.0
    ocr_text: str | None = None
    image_url: str | None = None
    thumbnail_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(ItemFields):
    """A stored item; `vector` is there only where it was asked for."""

    media: str | None = None
    vector: list[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A write that is on disk. `created` is false where the content was there: also where an attempt whose answer
    was lost had stored it."""

    id: str
    created: bool
    kind: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One input of several that failed alone."""

    message: str
    type: str
    code: str
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """One result an item, in order."""

    results: list[Stored | Failure]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """A page of a walk by id; `next` is the `after` of the next page, None at the end."""

    items: list[Item]
    next: str | None
    count: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Which of the ids exist, in order."""

    existing: list[str]
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The item is gone."""

    id: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class Media:
    """A file as the server gives it back."""

    content: bytes
    mime: str
