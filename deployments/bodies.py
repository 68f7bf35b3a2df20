"""From a request's bytes to a checked body: JSON or multipart, with one shape of error for both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from deployments.errors import BadRequest

M = TypeVar("M", bound=BaseModel)

JSON_FIELDS = {"filter", "metadata", "mix", "vector"}
NUMBER_FIELDS = {"top_k": int, "min_score": float, "created_at": float}
LIST_FIELDS = {"tags"}


def explain_faults(faults: Sequence[Any], skip: int = 0) -> BadRequest:
    """The first fault of a validation, with the field's path less `skip` leading steps; counts the others."""
    first = faults[0]
    path = ""
    for step in first["loc"][skip:]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = str(first["msg"]).removeprefix("Value error, ")
    return BadRequest(f"{path or 'body'}: {message}{more}", path or "body")


def explain(error: ValidationError) -> BadRequest:
    return explain_faults(error.errors(include_url=False, include_input=False, include_context=False))


def parse_json(model: type[M], raw: bytes) -> M:
    """A checked body from JSON bytes. Raises BadRequest."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise explain(error) from error


def parse_object(model: type[M], value: Any) -> M:
    """A checked body from parsed values. Raises BadRequest."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise explain(error) from error


def is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


async def read_form(request: Request) -> dict[str, Any]:
    """A multipart body's fields as JSON would have had them; files as bytes. Raises BadRequest."""
    fields: dict[str, Any] = {}
    try:
        form = await request.form(max_files=4, max_fields=64)
    except HTTPException as error:
        raise BadRequest(f"the multipart body does not parse: {error.detail}", "body") from error
    try:
        for name, value in form.multi_items():
            read = await value.read() if isinstance(value, UploadFile) else _field(name, value)
            if name in LIST_FIELDS:
                fields.setdefault(name, []).append(read)
            elif name in fields:
                raise BadRequest(f"{name} was given twice", name)
            else:
                fields[name] = read
    finally:
        await form.close()
    return fields


def _field(name: str, value: str) -> Any:
    if name in JSON_FIELDS:
        try:
            return json.loads(value)
        except ValueError as error:
            raise BadRequest(f"{name} must be JSON: {error}", name) from error
    if name in NUMBER_FIELDS:
        try:
            return NUMBER_FIELDS[name](value)
        except ValueError as error:
            raise BadRequest(f"{name} must be a number, not {value[:40]!r}", name) from error
    return value
