"""What follows an attempt: the result, an error, or a pause and another attempt. Knows no I/O, and so serves both
clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from crossray_client.calls import Call
from crossray_client.errors import (
    FINGERPRINT_HEADER,
    Answered,
    ClientClosed,
    FingerprintMismatch,
    NoAnswer,
    UnexpectedAnswer,
    api_error,
)
from crossray_client.retry import RETRIED_STATUSES, Retry, retry_after_s

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait, then try again."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The call's result."""

    result: T


class Attempts(Generic[T]):
    """The attempts of one call."""

    def __init__(self, call: Call[T], url: str, retry: Retry, fingerprint: str | None) -> None:
        self._call = call
        self._url = url
        self._retry = retry
        self._fingerprint = fingerprint
        self._made = 0
        self._may_have_worked = False

    def after(self, outcome: Answered | NoAnswer) -> Done[T] | Pause:
        """Raises NoAnswer, ApiError or UnexpectedAnswer when no further attempt is to be made."""
        self._made += 1
        if isinstance(outcome, NoAnswer):
            return self._pause(outcome, None, was_sent=outcome.was_sent)
        status = outcome.status
        if 200 <= status < 300 or status in self._call.accepts:
            return Done(self._read(outcome))
        if status == 404 and self._may_have_worked and self._call.if_gone is not None:
            return Done(self._call.if_gone)
        wanted_s = retry_after_s(outcome.headers)
        error = api_error(outcome, wanted_s)
        if status not in RETRIED_STATUSES:
            raise error
        return self._pause(error, wanted_s, was_sent=status != 429)

    def _pause(self, error: Exception, wanted_s: float | None, *, was_sent: bool) -> Pause:
        may_repeat = self._call.retried == "always" or (self._call.retried == "unsent" and not was_sent)
        pause_s = self._retry.pause_s(self._made, wanted_s) if may_repeat else None
        if pause_s is None or isinstance(error, ClientClosed):
            raise error
        self._may_have_worked |= was_sent
        return Pause(pause_s)

    def _read(self, answered: Answered) -> T:
        actual = answered.headers.get(FINGERPRINT_HEADER.lower())
        if self._call.pinned and self._fingerprint is not None and actual is not None and actual != self._fingerprint:
            # The server compares where it takes vectors or makes them; this is for those that it gives out.
            message = f"the server's fingerprint is {actual}, not {self._fingerprint}"
            raise FingerprintMismatch(409, "fingerprint_mismatch", message, FINGERPRINT_HEADER, actual=actual)
        try:
            return self._call.read(answered)
        except ValueError as error:
            reason = f"{self._call.method} {self._call.path} gave status {answered.status}, and {error}"
            raise UnexpectedAnswer(self._url, reason) from error
