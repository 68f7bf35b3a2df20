"""Calls about vectors and pairs."""

from __future__ import annotations

from collections.abc import Iterable

from crossray_client import readers
from crossray_client.answers import Embeddings, Match, Reranked
from crossray_client.calls.call import Call, content
from crossray_client.inputs import Content, ImageSource, given, image_text


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
        "input": [content(one) for one in several],
        "encoding_format": "base64",
    }
    return Call("POST", "/v1/embeddings", readers.embeddings, json=body, pinned=True)


def match(texts: Iterable[str], images: Iterable[ImageSource], *, collection: str | None = None) -> Call[Match]:
    """Every text against every image, up to 64 of each."""
    body = {"texts": list(texts), "images": [image_text(one) for one in images]} | given(collection=collection)
    return Call("POST", "/v1/match", readers.dataclass(Match), json=body, pinned=True)


def rerank(
    query: str | Content,
    documents: Iterable[str | Content],
    *,
    model: str | None = None,
    top_n: int | None = None,
    return_documents: bool | None = None,
    instruction: str | None = None,
    collection: str | None = None,
) -> Call[Reranked]:
    """How well each of up to 256 documents answers the query; a document may be a stored item's id."""
    body = given(
        model=model, top_n=top_n, return_documents=return_documents, instruction=instruction, collection=collection
    ) | {
        "query": content(query),
        "documents": [content(one) for one in documents],
    }
    return Call("POST", "/v1/rerank", readers.dataclass(Reranked), json=body)
