"""Calls about stored items."""

from __future__ import annotations

from collections.abc import Iterable

from crossray_client import readers
from crossray_client.answers import Deleted, Item, ItemPage, Lookup, Media, Stored, StoredBatch
from crossray_client.calls.call import Call, path_of, with_image
from crossray_client.inputs import NewItem, given


def store(item: NewItem) -> Call[Stored]:
    """Store one item. When the call returns it is on disk. An image's file is streamed from its path."""
    return with_image("/v1/items", readers.dataclass(Stored), item.fields(), item.image)


def store_batch(items: Iterable[NewItem], *, collection: str | None = None) -> Call[StoredBatch]:
    """Store up to 256 items in one request; each succeeds or fails alone. Images are held in memory, as base64.
    `collection` is that of items that name none."""
    body = {"items": [item.body() for item in items]} | given(collection=collection)
    return Call("POST", "/v1/items", readers.stored_batch, json=body, pinned=True)


def get(id: str, *, vectors: bool = False, collection: str | None = None) -> Call[Item]:
    """One item. Raises NotFound."""
    params = _with_vectors(vectors) | given(collection=collection)
    return Call("GET", path_of("item", id), readers.dataclass(Item), params=params, pinned=True)


def page(after: str = "", *, limit: int = 100, vectors: bool = False, collection: str | None = None) -> Call[ItemPage]:
    """Up to `limit` (at most 1000) items by id, from the one behind `after`."""
    params = {"after": after, "limit": str(limit)} | _with_vectors(vectors) | given(collection=collection)
    return Call("GET", "/v1/items", readers.dataclass(ItemPage), params=params, pinned=True)


def delete(id: str, *, collection: str | None = None) -> Call[Deleted]:
    """Delete one item. Raises NotFound, unless this very call deleted it and the answer was lost."""
    gone = Deleted(id=id, deleted=True)
    params = given(collection=collection)
    return Call("DELETE", path_of("item", id), readers.dataclass(Deleted), params=params, if_gone=gone)


def image(id: str, *, collection: str | None = None) -> Call[Media]:
    """An item's image, as it was sent. Raises NotFound."""
    return Call("GET", path_of("item", id) + "/image", readers.media, params=given(collection=collection))


def thumbnail(id: str, *, collection: str | None = None) -> Call[Media]:
    """A small WebP of an item's image. Raises NotFound."""
    return Call("GET", path_of("item", id) + "/thumbnail", readers.media, params=given(collection=collection))


def lookup(ids: Iterable[str], *, collection: str | None = None) -> Call[Lookup]:
    """Which of up to 1000 ids are stored."""
    body = {"ids": list(ids)} | given(collection=collection)
    return Call("POST", "/v1/items/lookup", readers.dataclass(Lookup), json=body)


def _with_vectors(vectors: bool) -> dict[str, str]:
    return {"vectors": "true"} if vectors else {}
