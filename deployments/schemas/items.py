"""The bodies of `/v1/items` and what is under it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from deployments.catalog.versions import DEFAULT
from deployments.schemas.errors import ErrorAnswer
from deployments.schemas.fields import Body, CollectionName, ImageBytes, ItemId, MetadataKey, MetadataValue, Number, Tag
from deployments.schemas.space import SpaceClaim
from retrieval.validation import MAX_KEYS, MAX_SOURCE_CHARS, MAX_TAGS, MAX_TEXT_CHARS

MAX_BATCH_ITEMS = 256


class Item(SpaceClaim):
    """`POST /v1/items`: an image, a text, or both, with metadata. Without an `id` the content's hash is the id."""

    collection: CollectionName = DEFAULT
    id: ItemId | None = None
    image: ImageBytes | None = None
    text: str | None = None
    source: Annotated[str, StringConstraints(max_length=MAX_SOURCE_CHARS)] = ""
    tags: list[Tag] = Field([], max_length=MAX_TAGS)
    metadata: dict[MetadataKey, MetadataValue] = Field({}, max_length=MAX_KEYS)
    vector: Annotated[list[Number], Field(min_length=1, max_length=65536)] | None = Field(
        None, description="A ready-made vector (an import), stored as it is; needs its `fingerprint` or `contract`."
    )
    created_at: Number | None = Field(None, description="Seconds since the epoch; now, when not given.")
    ocr_text: str | None = Field(
        None, description="What was read off the image already (an import); empty for none. Then it is not read here."
    )

    @model_validator(mode="after")
    def _content(self) -> Item:
        if self.image is None and self.text is None:
            raise ValueError("give an image, a text, or both")
        if self.ocr_text is not None and self.image is None:
            raise ValueError("ocr_text is what was read off an image: give the image too")
        if self.vector is not None and self.fingerprint is None and self.contract is None:
            raise ValueError("a vector needs the fingerprint of the contract it was made under")
        return self


class ItemBatch(Body):
    """`POST /v1/items` with many: each succeeds or fails alone. `collection` is that of items that name none."""

    collection: CollectionName = DEFAULT
    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH_ITEMS)]


class LookupRequest(Body):
    """`POST /v1/items/lookup`: which of these ids exist. An indexer asks before it uploads."""

    collection: CollectionName = DEFAULT
    ids: Annotated[list[ItemId], Field(min_length=1, max_length=1000)]


class ItemFields(BaseModel):
    """What is shown of a stored item wherever one is shown."""

    id: str
    kind: Literal["text", "image", "image_text"]
    text: str | None = None
    source: str = ""
    tags: list[str] = []
    metadata: dict[str, str | int | float | bool] = {}
    mime: str | None = None
    width: int = 0
    height: int = 0
    created_at: float = 0.0
    ocr_text: str | None = Field(
        None,
        description=f"Text read off the image: null until it was read, empty for none. One of {MAX_TEXT_CHARS} "
        "characters was longer, and is cut.",
    )
    image_url: str | None = None
    thumbnail_url: str | None = None


class ItemAnswer(ItemFields):
    """A stored item. `vector` only where it was asked for."""

    media: str | None = None
    vector: list[float] | None = None


class StoredAnswer(BaseModel):
    """The answer to a write. `created` is false where the same content was there already; then nothing was encoded."""

    id: str
    created: bool
    kind: Literal["text", "image", "image_text"]
    fingerprint: str


class StoredBatchAnswer(BaseModel):
    """One result an item, in order: StoredAnswer or ErrorAnswer."""

    results: list[StoredAnswer | ErrorAnswer]


class DeletedAnswer(BaseModel):
    """The item is gone."""

    id: str
    deleted: bool


class ItemPage(BaseModel):
    """`GET /v1/items`: a page of a walk by id. `next` is the `after` of the next page, null at the end."""

    items: list[ItemAnswer]
    next: str | None
    count: int
    fingerprint: str


class LookupAnswer(BaseModel):
    existing: list[str]
    fingerprint: str
