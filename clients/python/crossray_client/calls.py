"""The API's calls as values: what to send, and how to read the answer. Nothing here does I/O but reading an image's
file for a JSON body.

Every call may be sent again. Searches, embeddings, matches, reranks and lookups change nothing. A store is idempotent
by the item's id, which is its content's hash where none is given: a repeat finds the item there. A delete is, but for
its answer, which `if_gone` mends. Only `health` is never repeated: it asks how things are now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from crossray_client import readers
from crossray_client.answers import (
    Deleted,
    Embeddings,
    Health,
    Item,
    ItemPage,
    Lookup,
    Match,
    Media,
    Models,
    Reranked,
    Search,
    Stored,
    StoredBatch,
)
from crossray_client.errors import Answered
from crossray_client.inputs import Content, ImageSource, NewItem, Part, check_image, given, image_text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call. Its body is `json`, or the multipart form of `fields` and the `image`, which is streamed.

    `read` makes the result of a successful answer, or of one whose status it `accepts`, and raises ValueError for what
    is no such answer. A `pinned` call concerns vectors, and counts on the client's fingerprint. `if_gone` is the result
    when a repeat finds nothing, because an earlier attempt whose answer was lost did it.
    """

    method: str
    path: str
    read: Callable[[Answered], T]
    params: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    image: ImageSource | None = None
    pinned: bool = False
    retried: bool = True
    accepts: frozenset[int] = frozenset()
    if_gone: T | None = None


def search(
    text: str | None = None,
    *,
    image: ImageSource | None = None,
    id: str | None = None,
    mix: Sequence[Part] | None = None,
    target: str | None = None,
    mode: str | None = None,
    top_k: int | None = None,
    filter: Mapping[str, Any] | None = None,
    min_score: float | None = None,
    rewrite: str | None = None,
    rerank: bool | Mapping[str, Any] | None = None,
) -> Call[Search]:
    """Find items by a text, an image, both as one, the neighbours of a stored item, or a weighted mix.

    What is not given is as the server has it. `target` is image, text or any; `mode` dense, text or hybrid; `filter`
    is the API's, `{"field": "year", "op": "gte", "value": 2020}` say; `rewrite` is off, template or model; `rerank`
    says whether, or its budget: `{"depth": 20, "deadline_ms": 300}`.
    """
    fields = given(
        text=text,
        id=id,
        mix=None if mix is None else [part.body() for part in mix],
        target=target,
        mode=mode,
        top_k=top_k,
        filter=filter,
        min_score=min_score,
        rewrite=rewrite,
        rerank=rerank,
    )
    return _with_image("/v1/search", readers.dataclass(Search), fields, image)


def store(item: NewItem) -> Call[Stored]:
    """Store one item. When the call returns it is on disk. An image's file is streamed from its path."""
    return _with_image("/v1/items", readers.dataclass(Stored), item.fields(), item.image)


def store_batch(items: Iterable[NewItem]) -> Call[StoredBatch]:
    """Store up to 256 items in one request; each succeeds or fails alone. Images are held in memory, as base64."""
    body = {"items": [item.body() for item in items]}
    return Call("POST", "/v1/items", readers.stored_batch, json=body, pinned=True)


def get(id: str, *, vectors: bool = False) -> Call[Item]:
    """One item. Raises NotFound."""
    return Call("GET", _item(id), readers.dataclass(Item), params=_with_vectors(vectors), pinned=True)


def page(after: str = "", *, limit: int = 100, vectors: bool = False) -> Call[ItemPage]:
    """Up to `limit` (at most 1000) items by id, from the one behind `after`."""
    params = {"after": after, "limit": str(limit)} | _with_vectors(vectors)
    return Call("GET", "/v1/items", readers.dataclass(ItemPage), params=params, pinned=True)


def delete(id: str) -> Call[Deleted]:
    """Delete one item. Raises NotFound, unless this very call deleted it and the answer was lost."""
    return Call("DELETE", _item(id), readers.dataclass(Deleted), if_gone=Deleted(id=id, deleted=True))


def image(id: str) -> Call[Media]:
    """An item's image, as it was sent. Raises NotFound."""
    return Call("GET", _item(id) + "/image", readers.media)


def thumbnail(id: str) -> Call[Media]:
    """A small JPEG of an item's image. Raises NotFound."""
    return Call("GET", _item(id) + "/thumbnail", readers.media)


def lookup(ids: Iterable[str]) -> Call[Lookup]:
    """Which of up to 1000 ids are stored."""
    return Call("POST", "/v1/items/lookup", readers.dataclass(Lookup), json={"ids": list(ids)})


def embed(
    inputs: str | Content | Iterable[str | Content],
    *,
    model: str | None = None,
    dimensions: int | None = None,
    input_type: str | None = None,
) -> Call[Embeddings]:
    """Vectors of up to 512 texts, images, or both as one; `input_type` is query or document. One that cannot be
    embedded fails alone. Vectors travel as base64 of float32, a quarter of what JSON numbers take."""
    several = [inputs] if isinstance(inputs, str | Content) else inputs
    body = given(model=model, dimensions=dimensions, input_type=input_type) | {
        "input": [_content(one) for one in several],
        "encoding_format": "base64",
    }
    return Call("POST", "/v1/embeddings", readers.embeddings, json=body, pinned=True)


def match(texts: Iterable[str], images: Iterable[ImageSource]) -> Call[Match]:
    """Every text against every image, up to 64 of each."""
    body = {"texts": list(texts), "images": [image_text(one) for one in images]}
    return Call("POST", "/v1/match", readers.dataclass(Match), json=body, pinned=True)


def rerank(
    query: str | Content,
    documents: Iterable[str | Content],
    *,
    model: str | None = None,
    top_n: int | None = None,
    return_documents: bool | None = None,
    instruction: str | None = None,
) -> Call[Reranked]:
    """How well each of up to 256 documents answers the query; a document may be a stored item's id."""
    body = given(model=model, top_n=top_n, return_documents=return_documents, instruction=instruction) | {
        "query": _content(query),
        "documents": [_content(one) for one in documents],
    }
    return Call("POST", "/v1/rerank", readers.dataclass(Reranked), json=body)


def models() -> Call[Models]:
    """The encoders that run."""
    return Call("GET", "/v1/models", readers.dataclass(Models))


def health() -> Call[Health]:
    """Whether encoder and index answer, as the server sees it now: not an error where they do not."""
    accepts = frozenset({503})
    return Call("GET", "/health/ready", readers.dataclass(Health), retried=False, accepts=accepts)


def _with_image(
    path: str, read: Callable[[Answered], T], fields: Mapping[str, Any], image: ImageSource | None
) -> Call[T]:
    """JSON, or a form where there is an image, so that its bytes travel as they are."""
    if image is None:
        return Call("POST", path, read, json=fields, pinned=True)
    check_image(image)
    form = {name: value if name == "tags" else _form_value(value) for name, value in fields.items()}
    return Call("POST", path, read, fields=form, image=image, pinned=True)


def _form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _content(one: str | Content) -> str | dict[str, Any]:
    return one if isinstance(one, str) else one.body()


def _with_vectors(vectors: bool) -> dict[str, str]:
    return {"vectors": "true"} if vectors else {}


def _item(id: str) -> str:
    """An item's path. An id that would name another path is refused."""
    if not id.strip(".") or "/" in id:
        raise ValueError(f"{id!r} is no item's id")
    return "/v1/items/" + quote(id, safe="")
