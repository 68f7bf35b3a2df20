"""The errors table: every exception that may reach HTTP, with its status, type and code.

    CrossrayError
    ├── BadRequest       400  a body, a field or a parameter that does not validate
    ├── Unauthorized     401  an API key is missing, unknown, expired or revoked
    ├── Forbidden        403  a host that is not served, a web page that is not ours, or a key of too small a scope
    ├── NotFound         404  no such item, image or route
    ├── MethodNotAllowed 405  the route is there, the method is not; Allow names those that are
    ├── Conflict         409  the caller's fingerprint is not the collection's
    ├── TooLarge         413  the body is over the limit
    ├── UnsupportedMediaType 415  the body is not declared as what it has to be
    ├── RateLimited      429  the caller's API key calls too often; Retry-After says when to come back
    ├── Overloaded       429  a queue is full; Retry-After says when to come back
    ├── Unavailable      503  a part of the cluster does not answer
    └── DeadlineExceeded 504  the request's time ran out

Errors of the leaves are mapped by `status_of`; what is not in the table is a bug and answers 500 without details.
"""

from __future__ import annotations

from dataclasses import dataclass

from encoders.errors import ContractMismatch, EncoderError, InputError, ModelUnavailable
from retrieval.errors import (
    IndexLocked,
    IndexUnavailable,
    InvalidFilter,
    InvalidQuery,
    InvalidRecord,
    MediaUnavailable,
    SpaceMismatch,
    StorageFull,
    Unsupported,
)


class CrossrayError(Exception):
    """Base of the errors that the deployments raise on purpose."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param, code)
        self.message = message
        self.param = param
        self.code = code

    def __str__(self) -> str:
        return self.message


class BadRequest(CrossrayError):
    """The request does not validate."""


class Unauthorized(CrossrayError):
    """The request has no API key that is valid."""


class Forbidden(CrossrayError):
    """The request may not come from there, not ask for that host, or not with that key."""


class NotFound(CrossrayError):
    """There is no such thing."""


class MethodNotAllowed(CrossrayError):
    """The route does not take this method."""


class Conflict(CrossrayError):
    """The request assumes a state that is not so."""


class TooLarge(CrossrayError):
    """The body is over the limit."""


class UnsupportedMediaType(CrossrayError):
    """The body's declared type is not one that is read."""


class RateLimited(CrossrayError):
    """The caller's API key calls too often."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.args = (message, retry_after_s)
        self.retry_after_s = retry_after_s


class Overloaded(CrossrayError):
    """A queue is full."""


class Unavailable(CrossrayError):
    """A part of the cluster does not answer."""


class DeadlineExceeded(CrossrayError):
    """The request's time ran out."""


class EncoderFault(EncoderError):
    """A preparer or a model raised what it should not have: a bug, but this input's alone. Answers 500.

    It says what failed and never why: it may reach a caller, as the reason why a stage did without a model.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what}: see the server's log"


@dataclass(frozen=True, slots=True)
class HttpError:
    """One row of the table."""

    status: int
    type: str
    code: str


ERRORS: dict[type[Exception], HttpError] = {
    BadRequest: HttpError(400, "invalid_request_error", "invalid_request"),
    InputError: HttpError(400, "invalid_request_error", "invalid_input"),
    InvalidRecord: HttpError(400, "invalid_request_error", "invalid_record"),
    InvalidQuery: HttpError(400, "invalid_request_error", "invalid_query"),
    Unsupported: HttpError(400, "invalid_request_error", "unsupported"),
    InvalidFilter: HttpError(400, "invalid_request_error", "invalid_filter"),
    Unauthorized: HttpError(401, "authentication_error", "unauthorized"),
    Forbidden: HttpError(403, "permission_error", "forbidden"),
    NotFound: HttpError(404, "not_found_error", "not_found"),
    MethodNotAllowed: HttpError(405, "invalid_request_error", "method_not_allowed"),
    Conflict: HttpError(409, "conflict_error", "fingerprint_mismatch"),
    ContractMismatch: HttpError(409, "conflict_error", "contract_mismatch"),
    SpaceMismatch: HttpError(409, "conflict_error", "contract_mismatch"),
    TooLarge: HttpError(413, "invalid_request_error", "body_too_large"),
    UnsupportedMediaType: HttpError(415, "invalid_request_error", "unsupported_media_type"),
    RateLimited: HttpError(429, "rate_limit_error", "rate_limited"),
    Overloaded: HttpError(429, "rate_limit_error", "overloaded"),
    ModelUnavailable: HttpError(503, "unavailable_error", "model_unavailable"),
    IndexUnavailable: HttpError(503, "unavailable_error", "index_unavailable"),
    IndexLocked: HttpError(503, "unavailable_error", "index_locked"),
    MediaUnavailable: HttpError(503, "unavailable_error", "media_unavailable"),
    Unavailable: HttpError(503, "unavailable_error", "unavailable"),
    DeadlineExceeded: HttpError(504, "timeout_error", "deadline_exceeded"),
    StorageFull: HttpError(507, "storage_error", "storage_full"),
}

INTERNAL = HttpError(500, "internal_error", "internal_error")


def status_of(error: BaseException) -> HttpError:
    """The table's row for an exception, by its class or the nearest base that has one."""
    for cls in type(error).__mro__:
        if cls in ERRORS:
            return ERRORS[cls]
    return INTERNAL


def param_of(error: BaseException) -> str | None:
    """The field at fault, where the error names one."""
    if isinstance(error, InvalidFilter):
        return error.path if error.path.startswith("filter") else f"filter.{error.path}".rstrip(".")
    if isinstance(error, ContractMismatch | SpaceMismatch):
        return ", ".join(f"contract.{name}" for name, _, _ in error.fields) or "contract"
    return getattr(error, "param", None)


def code_of(error: BaseException) -> str:
    """The error's own code where it has one, else the table's."""
    own = getattr(error, "code", None)
    return own if isinstance(own, str) and own else status_of(error).code
