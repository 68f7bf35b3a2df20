"""What can go wrong in a call.

    ClientError
    ├── NoAnswer             nothing answered: no connection, a connection that broke, a timeout
    │   └── ClientClosed     this client was closed
    ├── UnexpectedAnswer     something answered, but not as this API does
    └── ApiError             the server's own error: `status`, `code`, `type`, `param`, `message`
        ├── NotFound             404
        ├── FingerprintMismatch  409  the server's vectors are of another embedding space than was counted on
        └── Overloaded           429  after the last attempt; `retry_after_s` says when to come back

An image file that cannot be read raises OSError, as opening it does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

FINGERPRINT_HEADER = "X-Crossray-Fingerprint"
SHOWN_CHARS = 200
SPACE_CODES = frozenset({"fingerprint_mismatch", "contract_mismatch"})


class ClientError(Exception):
    """Base of all errors of this package."""


class NoAnswer(ClientError):
    """Nothing answered at `url`. `was_sent` is false where the request cannot have arrived there."""

    def __init__(self, url: str, reason: str, was_sent: bool = True) -> None:
        super().__init__(url, reason, was_sent)
        self.url = url
        self.reason = reason
        self.was_sent = was_sent

    def __str__(self) -> str:
        return f"no answer from {self.url}: {self.reason}"


class ClientClosed(NoAnswer):
    """The client was closed before or during the call."""


class UnexpectedAnswer(ClientError):
    """What answered at `url` does not speak this API, or another version of it."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url} does not answer as a Crossray server: {self.reason}"


class ApiError(ClientError):
    """The server's error: `code` is stable for machines, `param` names the field at fault.

    An error of something in between, a proxy say, has the code `http_error`. `request_id` finds the request in the
    server's logs, where the answer had one.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        type: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, code, message, param, type, retry_after_s)
        self.request_id: str | None = None
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.type = type
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        field = f" (field {self.param})" if self.param else ""
        return f"{self.message}{field} [{self.status} {self.code}]"


class NotFound(ApiError):
    """There is no such item, image or route."""


class Overloaded(ApiError):
    """The server's queue is full."""


class FingerprintMismatch(ApiError):
    """The server's embedding space is `actual`, not the one that was counted on. Nothing was stored."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, type: str = "", actual: str | None = None
    ) -> None:
        super().__init__(status, code, message, param, type)
        self.args = (status, code, message, param, type, actual)
        self.actual = actual


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, read whole. `headers` has lower-case names."""

    status: int
    headers: dict[str, str]
    content: bytes


def api_error(answered: Answered, retry_after_s: float | None) -> ApiError:
    """The error that an unsuccessful answer stands for."""
    error = _api_error(answered, retry_after_s)
    error.request_id = answered.headers.get("x-request-id")
    return error


def _api_error(answered: Answered, retry_after_s: float | None) -> ApiError:
    status = answered.status
    kind = {404: NotFound, 429: Overloaded}.get(status, ApiError)
    try:
        error = json.loads(answered.content)["error"]
        code, message, type = str(error["code"]), str(error["message"]), str(error.get("type", ""))
        param = error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError):
        text = " ".join(answered.content[: 4 * SHOWN_CHARS].decode("utf-8", "replace").split())[:SHOWN_CHARS]
        return kind(status, "http_error", text or "no details", retry_after_s=retry_after_s)
    if status == 409 and code in SPACE_CODES:
        actual = answered.headers.get(FINGERPRINT_HEADER.lower())
        return FingerprintMismatch(status, code, message, param, type, actual)
    return kind(status, code, message, param, type, retry_after_s)
