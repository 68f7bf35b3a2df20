"""When to try again: exponential pauses with jitter (AWS's "equal jitter"), and `Retry-After` (RFC 9110, 10.2.3)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
"""What passes by itself: a full queue, a part that restarts, a gateway without its server, time that ran out."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try in all, and the pauses between: from `first_wait_s` doubling up to `max_wait_s`, of which a
    random share between half and all is waited.

    A `Retry-After` is never cut short; one over `max_wait_s` ends the attempts, and the error carries it.
    """

    attempts: int = 3
    first_wait_s: float = 0.5
    max_wait_s: float = 30.0

    def pause_s(self, attempt: int, retry_after_s: float | None) -> float | None:
        """The pause after the failed attempt of this number, from 1; None to give up."""
        if attempt >= self.attempts or (retry_after_s is not None and retry_after_s > self.max_wait_s):
            return None
        backoff_s = min(self.first_wait_s * 2.0 ** min(attempt - 1, 32), self.max_wait_s)
        jittered_s = backoff_s * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
        if retry_after_s is None:
            return jittered_s
        return retry_after_s + jittered_s / 2


NO_RETRY = Retry(attempts=1)

PATIENT = Retry(attempts=10)
"""For long work: goes on for one to two minutes, which outlasts a restart of the server."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` header asks for, in either of its forms; None without one that can be read."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
