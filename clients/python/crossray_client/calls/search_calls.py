"""The search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossray_client import readers
from crossray_client.answers import Search
from crossray_client.calls.call import Call, with_image
from crossray_client.inputs import ImageSource, Part, given


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
    min_relevance: float | None = None,
    group_duplicates: bool | float | None = None,
    rewrite: str | None = None,
    rerank: bool | Mapping[str, Any] | None = None,
    collection: str | None = None,
) -> Call[Search]:
    """Find items by a text, an image, both as one, the neighbours of a stored item, or a weighted mix.

    What is not given is as the server has it. `target` is image, text or any; `mode` dense, text or hybrid; `filter`
    is the API's, `{"field": "year", "op": "gte", "value": 2020}` say; `rewrite` is off, template or model; `rerank`
    says whether, or its budget: `{"depth": 20, "deadline_ms": 300}`; `group_duplicates` says whether, or from which
    cosine on, near-duplicates become one hit.
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
        min_relevance=min_relevance,
        group_duplicates=group_duplicates,
        rewrite=rewrite,
        rerank=rerank,
        collection=collection,
    )
    return with_image("/v1/search", readers.dataclass(Search), fields, image)
