"""The bodies of `POST /v1/match`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from deployments.catalog.versions import DEFAULT
from deployments.schemas.fields import Body, CollectionName, ImageBytes


class MatchRequest(Body):
    """`POST /v1/match`: every text against every image."""

    collection: CollectionName = Field(DEFAULT, description="The one whose encoder compares.")
    texts: Annotated[list[str], Field(min_length=1, max_length=64)]
    images: Annotated[list[ImageBytes], Field(min_length=1, max_length=64)]


class MatchAnswer(BaseModel):
    """`cosine[i][j]` is text i against image j; `probability` likewise, null where the encoder is not calibrated."""

    cosine: list[list[float]]
    probability: list[list[float]] | None
    model: str
    fingerprint: str
