"""Types of fields that several bodies have, and the base of every request's body."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainValidator,
    StringConstraints,
)

from deployments.catalog.versions import NAME
from retrieval.filters import KEY, KEY_RULE, MAX_INT, is_scalar_number
from retrieval.validation import MAX_TAG_CHARS, MAX_VALUE_CHARS


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

CollectionName = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]

Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG_CHARS)]

MetadataKey = Annotated[str, AfterValidator(check_key)]

MetadataValue = Annotated[
    str | int | float | bool, PlainValidator(check_value, json_schema_input_type=str | int | float | bool)
]


class Body(BaseModel):
    """Base of every body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
