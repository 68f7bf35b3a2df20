"""An example or more of each body, for `/docs` and the OpenAPI. A test sends each of them to the application."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from deployments.schemas.collections import NewCollection, PromoteRequest, ReindexRequest
from deployments.schemas.embeddings import EmbeddingsRequest
from deployments.schemas.items import Item, ItemBatch, LookupRequest
from deployments.schemas.jobs import JobRequest
from deployments.schemas.match import MatchRequest
from deployments.schemas.rerank import RerankRequest
from deployments.schemas.search import SearchRequest

Example = dict[str, Any]

RED = "data:image/gif;base64,R0lGODdhCAAIAIEAANwUFAAAAAAAAAAAACwAAAAACAAIAAAIDwABCBxIsKDBgwgTKkwYEAA7"
"""Eight by eight red pixels."""

_SEARCHES: dict[str, Example] = {
    "by text": {"text": "a cat asleep", "target": "image", "top_k": 5},
    "by text, filtered": {"text": "雪山", "filter": {"field": "year", "op": "gte", "value": 2020}},
    "by image": {"image": RED, "target": "any"},
    "by both": {"text": "the same at night", "image": RED},
    "each photo once": {"text": "a cat asleep", "target": "image", "group_duplicates": True},
    "more like a stored item": {"id": "a-cat"},
    "by a weighted mix": {"mix": [{"text": "a street"}, {"text": "at night", "weight": -0.5}, {"id": "a-cat"}]},
}
_ITEMS: dict[str, Example] = {
    "a text": {"id": "a-cat", "text": "a cat asleep on a chair", "tags": ["pets"], "metadata": {"year": 2024}},
    "an image with a text": {"image": RED, "text": "red", "source": "examples/red.gif"},
}
EXAMPLES: dict[type[BaseModel], dict[str, Example]] = {
    SearchRequest: _SEARCHES,
    Item: _ITEMS,
    ItemBatch: {"several": {"items": [{"text": "a boat"}, {"image": RED, "tags": ["colours"]}]}},
    LookupRequest: {"two ids": {"ids": ["a-cat", "a-dog"]}},
    EmbeddingsRequest: {
        "texts": {"input": ["a cat", "一只猫"], "input_type": "query"},
        "a text, an image, and both": {"input": ["red", {"image": RED}, {"text": "red", "image": RED}]},
        "as OpenAI's clients ask": {"input": "a cat", "encoding_format": "base64"},
    },
    JobRequest: {
        "texts and images": {
            "items": [{"text": "a boat"}, {"image": RED, "source": "red.gif", "metadata": {"year": 2024}}],
            "tags": ["harbour"],
        },
        "one that may be sent twice": {"id": "harbour-2024", "items": [{"text": "a lighthouse"}]},
    },
    MatchRequest: {"two texts, one image": {"texts": ["red", "blue"], "images": [RED]}},
    RerankRequest: {
        "texts": {"query": "a red car", "documents": ["a blue sky", "a car, red"], "top_n": 1},
        "images and stored items": {"query": {"text": "red"}, "documents": [{"image": RED}, {"id": "a-cat"}]},
    },
}
COLLECTION_EXAMPLES: dict[type[BaseModel], dict[str, Example]] = {
    NewCollection: {"holiday photos": {"name": "holidays"}, "an exact index": {"name": "few", "index_type": "flat"}},
    ReindexRequest: {
        "another index type": {"index_type": "hnsw"},
        "another encoder, the old version dropped": {"encoder": "qwen3-vl", "min_recall": 0.97, "keep": False},
    },
    PromoteRequest: {"as it is": {}, "checked on more items": {"probes": 500}},
}
"""Of the calls that a server without a catalog lacks."""


def examples_of(*models: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI's `examples` of a body that is one of these models."""
    return {name: {"value": body} for model in models for name, body in (EXAMPLES | COLLECTION_EXAMPLES)[model].items()}
