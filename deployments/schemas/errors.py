"""The body of every answer that is an error."""

from __future__ import annotations

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """What went wrong: `type` is the class of error, `code` is stable for machines, `param` names the field."""

    message: str
    type: str
    param: str | None = None
    code: str


class ErrorAnswer(BaseModel):
    """`request_id` is that of the X-Request-ID header, by which the server's logs tell more."""

    error: ErrorDetail
    request_id: str | None = None
