"""The bodies of `POST /v1/rerank`, in Cohere's and Jina's shape.

Sources: https://docs.cohere.com/reference/rerank and https://api.jina.ai/redoc (both take `query`, `documents`,
`top_n` and `return_documents`, and answer `results` of `index` and `relevance_score`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, model_validator

from deployments.catalog.versions import DEFAULT
from deployments.schemas.embeddings import EmbeddingInput
from deployments.schemas.fields import Body, CollectionName, ImageBytes, ItemId

MAX_RERANK_DOCUMENTS = 256
MAX_INSTRUCTION_CHARS = 2000


def as_object(value: Any) -> Any:
    """A plain text stands for an object that holds it."""
    return {"text": value} if isinstance(value, str) else value


class RerankDocument(Body):
    """A text, an image, both as one document, or a stored item by its id."""

    text: str | None = None
    image: ImageBytes | None = None
    id: ItemId | None = None

    @model_validator(mode="after")
    def _one_source(self) -> RerankDocument:
        if (self.id is None) == (self.text is None and self.image is None):
            raise ValueError("give a text, an image, both, or an id alone")
        return self


class RerankRequest(Body):
    """`POST /v1/rerank`: how well each document answers the query."""

    collection: CollectionName = Field(DEFAULT, description="Where documents are that are named by `id`.")
    query: Annotated[EmbeddingInput, BeforeValidator(as_object, json_schema_input_type=str | EmbeddingInput)]
    documents: Annotated[
        list[Annotated[RerankDocument, BeforeValidator(as_object, json_schema_input_type=str | RerankDocument)]],
        Field(min_length=1, max_length=MAX_RERANK_DOCUMENTS),
    ]
    model: str | None = None
    top_n: Annotated[int, Field(strict=True, ge=1)] | None = Field(None, description="Only the best so many.")
    return_documents: bool = Field(False, description="Send texts and ids back; an image is not sent back.")
    instruction: Annotated[str, StringConstraints(min_length=1, max_length=MAX_INSTRUCTION_CHARS)] | None = Field(
        None, description="What makes a document relevant, in place of the model's own instruction."
    )


class RerankedDocument(BaseModel):
    """What of a document goes back: its text, and the id of a stored one."""

    text: str | None = None
    id: str | None = None


class RerankResult(BaseModel):
    """`index` is the place in the request's `documents`; `relevance_score` is in 0…1."""

    index: int
    relevance_score: float
    document: RerankedDocument | None = None


class RerankUsage(BaseModel):
    """Jina's: tokens of all pairs, in the reranker's own unit."""

    total_tokens: int
    prompt_tokens: int


class RerankAnswer(BaseModel):
    """Results, best first. `meta` is Cohere's, `usage` is Jina's; `fingerprint` is the reranker's."""

    id: str
    object: str = "list"
    model: str
    fingerprint: str
    results: list[RerankResult]
    meta: dict[str, Any]
    usage: RerankUsage
