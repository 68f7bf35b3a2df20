"""The bodies of `POST /v1/search`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from deployments.catalog.versions import DEFAULT
from deployments.schemas.fields import Body, CollectionName, ImageBytes, ItemId, Number
from deployments.schemas.items import ItemFields
from deployments.schemas.space import SpaceClaim
from deployments.stage_reports import StageName
from encoders.queries import Rewrite

Target = Literal["image", "text", "any"]

Mode = Literal["dense", "text", "hybrid"]

MAX_TOP_K = 1000

MAX_MIX = 16

MAX_RERANK_DEPTH = 100

DUPLICATE_COSINE = 0.97
"""Of distinct photos in the starter's space one pair in ten thousand is as near."""


class Part(Body):
    """One part of a weighted mix: a text, an image, both fused, or a stored item; a negative weight pushes away."""

    text: str | None = None
    image: ImageBytes | None = None
    id: ItemId | None = None
    weight: Annotated[Number, Field(ge=-10, le=10)] = 1.0

    @model_validator(mode="after")
    def _one_source(self) -> Part:
        if self.id is not None and (self.text is not None or self.image is not None):
            raise ValueError("give an id, or a text and/or an image, not both")
        if self.id is None and self.text is None and self.image is None:
            raise ValueError("give a text, an image, both, or an id")
        return self


def as_rerank_options(value: Any) -> Any:
    """`true` is the settings' budget, `false` a depth of none."""
    return ({} if value else {"depth": 0}) if isinstance(value, bool) else value


def as_cosine(value: Any) -> Any:
    """`true` is the default, `false` none."""
    return (DUPLICATE_COSINE if value else None) if isinstance(value, bool) else value


class RerankOptions(Body):
    """What reranking a search may cost; what is not given is as in the settings."""

    depth: Annotated[int, Field(strict=True, ge=0, le=MAX_RERANK_DEPTH)] | None = Field(
        None, description="Hits to rerank; 0 for none."
    )
    deadline_ms: Annotated[int, Field(strict=True, ge=1, le=60_000)] | None = None
    margin: Annotated[Number, Field(ge=0, le=2)] | None = Field(
        None, description="Rerank only when the cosines of the first and the last hit are this close; null for always."
    )


class SearchRequest(SpaceClaim):
    """`POST /v1/search`: by text, by image, by both fused, by a stored id, or by a weighted mix of these."""

    text: str | None = Field(None, description="What to look for, in any language the encoder knows.")
    image: ImageBytes | None = Field(None, description="Base64 or data URI; a multipart upload may be used instead.")
    id: ItemId | None = Field(None, description="A stored item to find neighbours of; it is not among its own hits.")
    mix: Annotated[list[Part], Field(min_length=1, max_length=MAX_MIX)] | None = None
    collection: CollectionName = Field(DEFAULT, description="Where to look.")
    target: Target = Field("any", description="What to find: items with an image, items with a text, or any.")
    mode: Mode = Field(
        "dense",
        description="dense: by vector. text: by the words of items' texts and of what was read off images (BM25). "
        "hybrid: both, fused by rank. The last two need a `text`, and an index that searches by words.",
    )
    top_k: Annotated[int, Field(strict=True, ge=1, le=MAX_TOP_K)] = 10
    filter: dict[str, Any] | None = Field(None, description='E.g. {"field": "year", "op": "gte", "value": 2020}.')
    min_score: Annotated[Number, Field(ge=-1, le=1)] | None = None
    min_relevance: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None, description="Leave out hits of a lower `relevance`, or of none. Refused where hits have none."
    )
    group_duplicates: Annotated[
        Annotated[Number, Field(ge=0.5, le=1)] | None,
        BeforeValidator(as_cosine, json_schema_input_type=bool | float | None),
    ] = Field(
        None,
        description=f"Fold hits whose vectors are this near (a cosine; true is {DUPLICATE_COSINE}) into the best of "
        "them, and fill up to `top_k` from the next ones.",
    )
    rewrite: Rewrite | None = Field(
        None,
        description="How a text is put to the encoder: as it is, by rules, or by a model where one runs; "
        "`queries.rewrite` when not given. A mix is never rewritten.",
    )
    rerank: Annotated[
        RerankOptions | None, BeforeValidator(as_rerank_options, json_schema_input_type=bool | RerankOptions | None)
    ] = Field(None, description="A second look at the first hits: true, false, or its budget.")

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        given = [self.mix is not None, self.id is not None, self.text is not None or self.image is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of: text and/or image, id, mix")
        if self.mode != "dense" and self.text is None:
            raise ValueError(f"mode {self.mode} looks for words: give a text")
        if self.mode == "text" and self.image is not None:
            raise ValueError("mode text looks for words alone: leave the image out, or use hybrid")
        if self.mode == "text" and self.min_score is not None:
            raise ValueError("min_score is a cosine, which mode text has none of")
        if self.min_relevance is not None and (self.mode == "text" or self.text is None or self.image is not None):
            raise ValueError("min_relevance is for a text that looks for images by vector: mode dense or hybrid")
        return self

    def parts(self) -> list[Part]:
        """The query as a mix, whatever shape it came in."""
        return self.mix if self.mix is not None else [Part(text=self.text, image=self.image, id=self.id, weight=1.0)]


class HitAnswer(ItemFields):
    """One hit. Hits come in the order of their scores in mode dense and text, and of their fused ranks in hybrid."""

    score: float | None = Field(None, description="The cosine; null in mode text, which compares no vectors.")
    text_score: float | None = Field(None, description="BM25, where words found the hit.")
    ranks: dict[str, int] = Field({}, description="In hybrid: its place from 1 in each ranking, `dense` and `text`.")
    rerank_score: float | None = Field(None, description="The reranker's relevance in 0…1, where it looked at the hit.")
    background_percentile: float | None = Field(
        None,
        description="The share of a random sample of the collection that scores lower for this query, in percent. No "
        "probability. null in mode text, and where the collection has fewer than 30 items of the target.",
    )
    relevance: float | None = Field(
        None,
        description="The calibrated probability that this image is the one that the text describes. null where "
        "`crossray calibrate` was not run, for other queries, and for hits that are not an image alone.",
    )
    duplicates: list[str] = Field([], description="Items that were folded into this hit, by `group_duplicates`.")


class StageAnswer(BaseModel):
    """What one stage of a search did, to how many hits, and why it did not do more."""

    name: StageName
    did: Literal["searched", "reranked", "skipped"]
    ms: float
    depth: int
    reason: str = ""


class RewriteAnswer(BaseModel):
    """What the query asks for, and who read it. `reason` says why the rules took the model's place."""

    by: Literal["template", "model"]
    subject: str
    style: str | None
    language: Literal["en", "zh"]
    reason: str = ""


class SearchAnswer(BaseModel):
    """`stages` holds `rerank` only where it was asked for.

    `timings_ms` repeats the `Server-Timing` header: its stages sum to `total`.
    """

    hits: list[HitAnswer]
    target: Target
    nothing_relevant: bool | None = Field(
        None, description="true: nothing here is likely what was asked for. null: not known, see the reason."
    )
    relevance_reason: str = Field("", description="Why nothing is relevant, or why that is not known.")
    rewritten_query: str | None = Field(None, description="The text that was encoded, null where it is the one sent.")
    rewrite: RewriteAnswer | None = None
    model: str
    fingerprint: str
    stages: list[StageAnswer] = []
    timings_ms: dict[str, float]
