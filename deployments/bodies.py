"""From a request's bytes to a checked body: JSON or multipart, with one shape of error for both."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from deployments.errors import BadRequest, TooLarge

M = TypeVar("M", bound=BaseModel)

JSON_FIELDS = {"contract", "filter", "group_duplicates", "metadata", "mix", "rerank", "vector"}
NUMBER_FIELDS = {"top_k": int, "min_score": float, "min_relevance": float, "created_at": float}
LIST_FIELDS = {"tags"}
MAX_FILES, MAX_FIELDS = 4, 64
MAX_NAME_CHARS = 80
"""Names of the caller's that an error repeats are cut here."""


def explain_faults(faults: Sequence[Any], skip: int = 0) -> BadRequest:
    """The first fault of a validation, with the field's path less `skip` leading steps; counts the others."""
    first = faults[0]
    path = ""
    for step in first["loc"][skip:]:
        if step != "[key]":  # pydantic's mark for a fault of a dictionary's key
            path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    path = path if len(path) <= MAX_NAME_CHARS else path[:MAX_NAME_CHARS] + "…"
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
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_form(request: Request) -> dict[str, Any]:
    """A multipart body's fields as JSON would have had them; files as bytes. Raises BadRequest."""
    fields: dict[str, Any] = {}
    form = await parse_form(request)
    try:
        for name, value in form.multi_items():
            read = await value.read() if isinstance(value, UploadFile) else field_value(name, value)
            if name in LIST_FIELDS:
                fields.setdefault(name, []).append(read)
            elif name in fields:
                raise BadRequest(f"{name} was given twice", name)
            else:
                fields[name] = read
    finally:
        await form.close()
    return fields


async def parse_form(request: Request, *, max_files: int = MAX_FILES, in_memory: bool = True) -> FormData:
    """The form, to be closed by the caller. One that ends before its last boundary is refused: the parser would leave
    out what was cut off. Files over 1 MiB that are not to be in memory are in temporary files. Raises BadRequest."""
    boundary = parse_options_header(request.headers["content-type"])[1].get(b"boundary", b"")

    async def stream() -> AsyncGenerator[bytes, None]:
        tail = b""
        try:
            async for chunk in request.stream():
                tail = (tail + chunk)[-1024:]
                yield chunk
        except TooLarge as error:  # so that the parser lets go of what it holds
            raise MultiPartException(str(error)) from error
        if b"--" + boundary + b"--" not in tail:
            raise MultiPartException("it is cut off, its closing boundary is missing")

    parser = MultiPartParser(request.headers, stream(), max_files=max_files, max_fields=MAX_FIELDS)
    if in_memory:  # the body is bounded already, and a temporary file costs more than memory
        parser.spool_max_size = sys.maxsize
    try:
        return await parser.parse()
    except MultiPartException as error:
        if isinstance(error.__cause__, TooLarge):
            raise error.__cause__ from None
        raise BadRequest(f"the multipart body does not parse: {error.message}", "body") from error


def field_value(name: str, value: str) -> Any:
    """A form's field as JSON would have had it. Raises BadRequest."""
    if name in JSON_FIELDS:
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{name} must be JSON: {error}", name) from error
    if name in NUMBER_FIELDS:
        try:
            return NUMBER_FIELDS[name](value)
        except ValueError as error:
            raise BadRequest(f"{name} must be a number, not {value[:40]!r}", name) from error
    return value
