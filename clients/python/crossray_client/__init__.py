"""A client of the Crossray HTTP API, sync and async: `Client` and `AsyncClient`.

It knows the API alone, nothing of how the server is built, and needs httpx and nothing else.
"""

from crossray_client.answers import (
    Deleted,
    Embedding,
    Embeddings,
    Failure,
    Health,
    Hit,
    Item,
    ItemPage,
    Lookup,
    Match,
    Media,
    Model,
    Models,
    Ranked,
    RankedDocument,
    Reranked,
    Rewrite,
    Search,
    Stage,
    Stored,
    StoredBatch,
)
from crossray_client.async_client import AsyncClient
from crossray_client.calls import Call
from crossray_client.client import Client
from crossray_client.errors import (
    ApiError,
    ClientClosed,
    ClientError,
    FingerprintMismatch,
    NoAnswer,
    NotFound,
    Overloaded,
    UnexpectedAnswer,
)
from crossray_client.inputs import Content, ImageSource, NewItem, Part
from crossray_client.retry import NO_RETRY, PATIENT, Retry

__all__ = [
    "NO_RETRY",
    "PATIENT",
    "ApiError",
    "AsyncClient",
    "Call",
    "Client",
    "ClientClosed",
    "ClientError",
    "Content",
    "Deleted",
    "Embedding",
    "Embeddings",
    "Failure",
    "FingerprintMismatch",
    "Health",
    "Hit",
    "ImageSource",
    "Item",
    "ItemPage",
    "Lookup",
    "Match",
    "Media",
    "Model",
    "Models",
    "NewItem",
    "NoAnswer",
    "NotFound",
    "Overloaded",
    "Part",
    "Ranked",
    "RankedDocument",
    "Reranked",
    "Retry",
    "Rewrite",
    "Search",
    "Stage",
    "Stored",
    "StoredBatch",
    "UnexpectedAnswer",
]
