"""What goes over HTTP: every request and answer body, checked here and nowhere else.

Images travel in JSON as base64 or as a `data:` URI; a URL is refused, never fetched. Texts are texts: a URL given as
text is embedded as the text it is. Unknown fields are errors, so a misspelt option is never ignored.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainValidator,
    StringConstraints,
    model_validator,
)

from encoders.queries import Rewrite
from retrieval.filters import KEY, KEY_RULE, MAX_INT, is_scalar_number
from retrieval.validation import MAX_KEYS, MAX_SOURCE_CHARS, MAX_TAG_CHARS, MAX_TAGS, MAX_VALUE_CHARS

Target = Literal["image", "text", "any"]
MAX_TOP_K = 1000
MAX_MIX = 16
MAX_RERANK_DEPTH = 100
MAX_EMBEDDINGS = 512
MAX_BATCH_ITEMS = 256


def decode_image_text(value: Any) -> Any:
    """Base64 or a data URI to bytes; anything else gets an error that says what is allowed."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("an image is base64 or a data: URI, as a string")
    if value.startswith(("http://", "https://", "file:", "ftp://", "s3://")):
        raise ValueError("URLs are not fetched: send the image's bytes as base64 or a data: URI")
    if value.startswith("data:"):
        head, _, value = value.partition(",")
        if not head.endswith(";base64"):
            raise ValueError("a data: URI must be base64 (data:image/jpeg;base64,…)")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not valid base64") from error


def check_key(key: str) -> str:
    """A metadata key that a filter can name. Raises ValueError."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not a metadata key: {KEY_RULE}")
    return key


def check_value(value: Any) -> str | int | float | bool:
    """A metadata value that every index holds exactly. Raises ValueError."""
    if isinstance(value, str):
        if len(value) > MAX_VALUE_CHARS:
            raise ValueError(f"longer than {MAX_VALUE_CHARS} characters")
        return value
    if not is_scalar_number(value):
        raise ValueError(f"a metadata value is a text, a boolean or a finite number; integers reach ±{MAX_INT}")
    number: int | float | bool = value
    return number


ImageBytes = Annotated[bytes, BeforeValidator(decode_image_text), Field(json_schema_extra={"format": "byte"})]
Number = Annotated[FiniteFloat, Field(strict=True)]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^\w[\w.:\-]*$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG_CHARS)]
MetadataKey = Annotated[str, AfterValidator(check_key)]
MetadataValue = Annotated[
    str | int | float | bool, PlainValidator(check_value, json_schema_input_type=str | int | float | bool)
]


class Body(BaseModel):
    """Base of every body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class ContractBody(Body):
    """A whole vector contract, as `GET /v1/models` shows it."""

    model: str
    revision: str
    dim: Annotated[int, Field(strict=True)]
    pooling: str
    template: str
    pixels: str
    preprocessing: Annotated[int, Field(strict=True)]
    precision: str


class SpaceClaim(Body):
    """Which embedding space a request counts on."""

    fingerprint: str | None = Field(None, description="Refuse with 409 unless the collection's fingerprint is this.")
    contract: ContractBody | None = Field(
        None, description="Like `fingerprint`, with the whole contract: the 409 then names the fields that differ."
    )


def as_rerank_options(value: Any) -> Any:
    """`true` is the settings' budget, `false` a depth of none."""
    return ({} if value else {"depth": 0}) if isinstance(value, bool) else value


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
    target: Target = Field("any", description="What to find: items with an image, items with a text, or any.")
    top_k: Annotated[int, Field(strict=True, ge=1, le=MAX_TOP_K)] = 10
    filter: dict[str, Any] | None = Field(None, description='E.g. {"field": "year", "op": "gte", "value": 2020}.')
    min_score: Annotated[Number, Field(ge=-1, le=1)] | None = None
    rewrite: Rewrite | None = Field(
        None,
        description="How a text is put to the encoder; `queries.rewrite` when not given. A mix is never rewritten.",
    )
    rerank: Annotated[
        RerankOptions | None, BeforeValidator(as_rerank_options, json_schema_input_type=bool | RerankOptions | None)
    ] = Field(None, description="A second look at the first hits: true, false, or its budget.")

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        given = [self.mix is not None, self.id is not None, self.text is not None or self.image is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of: text and/or image, id, mix")
        return self

    def parts(self) -> list[Part]:
        """The query as a mix, whatever shape it came in."""
        return self.mix if self.mix is not None else [Part(text=self.text, image=self.image, id=self.id, weight=1.0)]


class Item(SpaceClaim):
    """`POST /v1/items`: an image, a text, or both, with metadata. Without an `id` the content's hash is the id."""

    id: ItemId | None = None
    image: ImageBytes | None = None
    text: str | None = None
    source: Annotated[str, StringConstraints(max_length=MAX_SOURCE_CHARS)] = ""
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = []
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_KEYS)] = {}
    vector: Annotated[list[Number], Field(min_length=1, max_length=65536)] | None = Field(
        None, description="A ready-made vector (an import), stored as it is; needs its `fingerprint` or `contract`."
    )
    created_at: Number | None = Field(None, description="Seconds since the epoch; now, when not given.")

    @model_validator(mode="after")
    def _content(self) -> Item:
        if self.image is None and self.text is None:
            raise ValueError("give an image, a text, or both")
        if self.vector is not None and self.fingerprint is None and self.contract is None:
            raise ValueError("a vector needs the fingerprint of the contract it was made under")
        return self


class ItemBatch(Body):
    """`POST /v1/items` with many: each succeeds or fails alone."""

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH_ITEMS)]


class LookupRequest(Body):
    """`POST /v1/items/lookup`: which of these ids exist. An indexer asks before it uploads."""

    ids: Annotated[list[ItemId], Field(min_length=1, max_length=1000)]


class MatchRequest(Body):
    """`POST /v1/match`: every text against every image."""

    texts: Annotated[list[str], Field(min_length=1, max_length=64)]
    images: Annotated[list[ImageBytes], Field(min_length=1, max_length=64)]


class EmbeddingInput(Body):
    """One item of `POST /v1/embeddings`: `{"text": …}`, `{"image": …}`, or both fused into one vector."""

    text: str | None = None
    image: ImageBytes | None = None

    @model_validator(mode="after")
    def _content(self) -> EmbeddingInput:
        if self.text is None and self.image is None:
            raise ValueError("give a text, an image, or both")
        return self


def as_inputs(value: Any) -> Any:
    """One text or a list of texts and objects, as OpenAI's clients send them, to a list of objects."""
    values = [value] if isinstance(value, str) else value
    return [{"text": v} if isinstance(v, str) else v for v in values] if isinstance(values, list) else values


class EmbeddingsRequest(Body):
    """`POST /v1/embeddings`, OpenAI-shaped; an input may also be an image or a text and an image fused."""

    input: Annotated[
        list[EmbeddingInput],
        Field(min_length=1, max_length=MAX_EMBEDDINGS),
        BeforeValidator(as_inputs, json_schema_input_type=str | list[str | EmbeddingInput]),
    ]
    model: str | None = None
    dimensions: Annotated[int, Field(strict=True, ge=1)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    input_type: Literal["query", "document"] = "document"
    user: str | None = Field(None, description="Accepted for OpenAI clients; not used.")


class ErrorDetail(BaseModel):
    """What went wrong: `type` is the class of error, `code` is stable for machines, `param` names the field."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorAnswer(BaseModel):
    error: ErrorDetail


class HitAnswer(BaseModel):
    """One hit; `score` is the cosine, `rerank_score` the reranker's relevance in 0…1 where it looked at the hit."""

    id: str
    score: float
    rerank_score: float | None = None
    kind: Literal["text", "image", "image_text"]
    text: str | None = None
    source: str = ""
    tags: list[str] = []
    metadata: dict[str, str | int | float | bool] = {}
    mime: str | None = None
    width: int = 0
    height: int = 0
    created_at: float = 0.0
    ocr_text: str | None = Field(None, description="Text read off the image: null until it was read, empty for none.")
    image_url: str | None = None
    thumbnail_url: str | None = None


class StageAnswer(BaseModel):
    """What one stage of a search did, to how many hits, and why it did not do more."""

    name: Literal["dense", "rerank"]
    did: Literal["searched", "reranked", "skipped"]
    ms: float
    depth: int
    reason: str = ""


class SearchAnswer(BaseModel):
    """`stages` holds `rerank` only where it was asked for.

    `timings_ms` repeats the `Server-Timing` header: its stages sum to `total`.
    """

    hits: list[HitAnswer]
    target: Target
    rewritten_query: str | None = Field(None, description="The text that was encoded, null where it is the one sent.")
    model: str
    fingerprint: str
    stages: list[StageAnswer] = []
    timings_ms: dict[str, float]


class ItemAnswer(BaseModel):
    """A stored item. `vector` only where it was asked for."""

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
    ocr_text: str | None = Field(None, description="Text read off the image: null until it was read, empty for none.")
    media: str | None = None
    image_url: str | None = None
    thumbnail_url: str | None = None
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


class ItemPage(BaseModel):
    """`GET /v1/items`: a page of a walk by id. `next` is the `after` of the next page, null at the end."""

    items: list[ItemAnswer]
    next: str | None
    count: int
    fingerprint: str


class LookupAnswer(BaseModel):
    existing: list[str]
    fingerprint: str


class MatchAnswer(BaseModel):
    """`cosine[i][j]` is text i against image j; `probability` likewise, null where the encoder is not calibrated."""

    cosine: list[list[float]]
    probability: list[list[float]] | None
    model: str
    fingerprint: str


class ModelAnswer(BaseModel):
    """One encoder that runs: what it can take, and its vector contract."""

    id: str
    object: Literal["model"] = "model"
    description: str
    dim: int
    dimensions: list[int]
    modalities: list[str]
    languages: list[str]
    max_text_chars: int
    contract: dict[str, str | int]
    fingerprint: str


class ModelsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class HealthAnswer(BaseModel):
    """`/health/ready`: 200 once a warm text and a warm image went through encoder and index, else 503."""

    status: Literal["ok", "starting", "degraded"]
    encoder: str | None = None
    index: str | None = None
    count: int | None = None
    detail: str = ""
