"""LangChain over a Crossray server: its encoder as `Embeddings`, its search as a retriever.

Needs `crossray-client[langchain]`, which is langchain-core alone. LangChain's asynchronous methods run these in
threads, which may share a client.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise ImportError("langchain-core is missing: pip install 'crossray-client[langchain]'") from error

from crossray_client.answers import Hit
from crossray_client.client import Client

INPUTS_A_CALL = 128
"""A few batches of the encoder's; the API takes 512."""


class CrossrayEmbeddings(Embeddings):
    """Texts as vectors of the server's encoder. Vectors of one `fingerprint` alone: give it to the client."""

    def __init__(self, client: Client, *, model: str | None = None, dimensions: int | None = None) -> None:
        """`model` is one that runs, `dimensions` one of those that it may be shortened to (`client.models()`)."""
        self._client = client
        self._options: dict[str, Any] = {"model": model, "dimensions": dimensions}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in order. Raises ApiError for the first text that cannot be embedded."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), INPUTS_A_CALL):
            some = texts[start : start + INPUTS_A_CALL]
            vectors += self._client.embed(some, input_type="document", **self._options).vectors()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector to search with, where the encoder reads queries otherwise than documents."""
        return self._client.embed(text, input_type="query", **self._options).vectors()[0]


class CrossrayRetriever(BaseRetriever):
    """What the server's search finds for a text, images among it, as documents.

    A document's `page_content` is the item's text, else what was read off its image, else empty; its `metadata` is the
    item's own, with the item's `source` where it has none of that name, and everything else that a hit says under
    `crossray`: `kind`, `tags`, `score`, `relevance`, `image_url` and so on.
    """

    client: Client
    options: dict[str, Any] = {}  # noqa: RUF012 - LangChain's base is a pydantic model, which copies it
    """Arguments of `Client.search` beside the text: `{"target": "image", "top_k": 5, "collection": "holidays"}`."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [_document(hit) for hit in self.client.search(query, **self.options).hits]


def _document(hit: Hit) -> Document:
    told = asdict(hit)
    id, text, metadata = (told.pop(name) for name in ("id", "text", "metadata"))
    content = text or hit.ocr_text or ""
    return Document(page_content=content, id=id, metadata={"source": hit.source, **metadata, "crossray": told})
