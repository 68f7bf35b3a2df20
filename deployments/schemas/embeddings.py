"""The bodies of `POST /v1/embeddings`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from deployments.schemas.errors import ErrorDetail
from deployments.schemas.fields import Body, ImageBytes

MAX_EMBEDDINGS = 512


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


class EmbeddingAnswer(BaseModel):
    """One input's vector, or in its place why there is none."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str | None = Field(description="Numbers, or base64 of little-endian float32.")
    error: ErrorDetail | None = None


class EmbeddingUsage(BaseModel):
    """OpenAI's; words, not the model's tokens."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """One element an input, in order. The fingerprint is in the header `X-Crossray-Fingerprint`."""

    object: Literal["list"] = "list"
    data: list[EmbeddingAnswer]
    model: str
    usage: EmbeddingUsage
