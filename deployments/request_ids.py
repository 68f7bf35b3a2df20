"""The id of the request that is being answered: one word by which its log lines are found in every process.

The ingress takes the caller's `X-Request-ID` where it is well-formed and makes one where it is not. The id is in the
context of what the ingress does for the request, and travels beside the inputs of calls to replicas: one call may carry
those of many requests.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

REQUEST_ID_HEADER = "X-Request-ID"
_WELL_FORMED = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""What is common in ids, traces included, and has no meaning in a log, a header or a shell's quotes."""
_current: ContextVar[str] = ContextVar("crossray_request_id", default="")


def current() -> str:
    """Empty where nothing is done for a request."""
    return _current.get()


@contextmanager
def request_of(given: str | None) -> Iterator[str]:
    """The id of the request that is answered inside: `given`, or a new one where that will not do."""
    id = given if given is not None and _WELL_FORMED.fullmatch(given) else str(uuid.uuid4())
    token = _current.set(id)
    try:
        yield id
    finally:
        _current.reset(token)
