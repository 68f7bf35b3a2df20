"""When both clients try again, and when they do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossray_client import (
    PATIENT,
    ApiError,
    Client,
    ClientClosed,
    NewItem,
    NoAnswer,
    NotFound,
    Overloaded,
    Retry,
    UnexpectedAnswer,
    calls,
)
from crossray_client.attempts import Attempts
from crossray_client.retry import retry_after_s

LOOKUP = {"existing": ["a"], "fingerprint": "f"}
STORED = {"id": "a", "created": True, "kind": "image", "fingerprint": "f"}
QUICK = Retry(attempts=3, first_wait_s=0.0)
Answering = Callable[..., Any]


class Script:
    """A server that answers in turn: a status, an answer, or an error of the connection. The last is repeated."""

    def __init__(self, *steps: int | dict[str, Any] | Exception) -> None:
        self._steps = steps
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        step = self._steps[min(len(self.bodies), len(self._steps)) - 1]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step) if isinstance(step, int) else httpx.Response(200, json=step)

    @property
    def count(self) -> int:
        return len(self.bodies)


@pytest.mark.parametrize("fault", [429, 502, 503, 504, httpx.ConnectError("refused"), httpx.ReadError("reset")])
def test_what_passes_is_tried_again(answering: Answering, fault: int | Exception) -> None:
    server = Script(fault, fault, LOOKUP)
    assert answering(server, retry=QUICK).lookup(["a"]).existing == ["a"]
    assert server.count == 3


@pytest.mark.parametrize("status", [301, 400, 404, 409, 413, 500, 507])
def test_what_stays_is_not(answering: Answering, status: int) -> None:
    server = Script(status, LOOKUP)
    with pytest.raises(ApiError) as caught:
        answering(server, retry=QUICK).lookup(["a"])
    assert (caught.value.status, caught.value.code) == (status, "http_error")
    assert server.count == 1


def test_patience_ends_with_what_happened_last(answering: Answering) -> None:
    busy, gone = Script(429), Script(httpx.ConnectError("refused"))
    with pytest.raises(Overloaded):
        answering(busy, retry=QUICK).lookup(["a"])
    with pytest.raises(NoAnswer, match="refused"):
        answering(gone, retry=QUICK).lookup(["a"])
    assert busy.count == gone.count == 3


def test_an_upload_is_sent_again_from_its_start(answering: Answering, photo: Callable[[str], Path]) -> None:
    server = Script(503, httpx.ReadError("reset"), STORED)
    assert answering(server, retry=QUICK).store(NewItem(image=photo("red"), tags=["t"])).id == "a"
    assert server.count == 3
    assert all(photo("red").read_bytes() in body for body in server.bodies)


def test_a_delete_whose_answer_was_lost_is_done_when_the_item_is_gone(answering: Answering) -> None:
    assert answering(Script(httpx.ReadError("reset"), 404), retry=QUICK).delete("a").deleted


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), 429])
def test_a_delete_that_never_arrived_is_not_done(answering: Answering, fault: int | Exception) -> None:
    with pytest.raises(NotFound):
        answering(Script(fault, 404), retry=QUICK).delete("a")


def test_a_collection_or_version_whose_answer_was_lost_is_gone(answering: Answering) -> None:
    assert answering(Script(503, 404), retry=QUICK).delete_collection("a").deleted
    assert answering(Script(httpx.ReadError("reset"), 404), retry=QUICK).drop_version("a", 3).version == 3


BEGUN: list[Callable[[Any], Any]] = [
    lambda client: client.create_collection("a"),
    lambda client: client.reindex("a"),
    lambda client: client.promote("a", 1),
]


@pytest.mark.parametrize("begin", BEGUN)
@pytest.mark.parametrize("fault", [503, 504, httpx.ReadError("reset")])
def test_what_would_be_done_twice_is_not_sent_again(answering: Answering, begin: Any, fault: int | Exception) -> None:
    server = Script(fault)
    with pytest.raises((ApiError, NoAnswer)):
        begin(answering(server, retry=QUICK))
    assert server.count == 1


@pytest.mark.parametrize("begin", BEGUN)
@pytest.mark.parametrize("fault", [429, httpx.ConnectError("refused")])
def test_but_where_it_cannot_have_arrived(answering: Answering, begin: Any, fault: int | Exception) -> None:
    server = Script(fault, fault, 409)
    with pytest.raises(ApiError, match="409"):
        begin(answering(server, retry=QUICK))
    assert server.count == 3


def test_health_is_asked_once(answering: Answering) -> None:
    server = Script(httpx.ConnectError("refused"))
    with pytest.raises(NoAnswer):
        answering(server, retry=QUICK).health()
    assert server.count == 1
    degraded = httpx.Response(503, json={"status": "degraded", "detail": "no encoder"})
    assert answering(lambda _: degraded, retry=QUICK).health().detail == "no encoder"


def test_retry_after_is_waited_for(answering: Answering) -> None:
    seen: list[float] = []

    def busy_at_first(_: httpx.Request) -> httpx.Response:
        seen.append(time.monotonic())
        return httpx.Response(429, headers={"Retry-After": "1"}) if len(seen) == 1 else httpx.Response(200, json=LOOKUP)

    answering(busy_at_first, retry=QUICK).lookup(["a"])
    assert seen[1] - seen[0] >= 1


def test_a_retry_after_beyond_patience_is_told_and_not_waited_for(answering: Answering) -> None:
    answer = httpx.Response(429, headers={"Retry-After": "3600"})
    with pytest.raises(Overloaded) as caught:
        answering(lambda _: answer, retry=QUICK).lookup(["a"])
    assert caught.value.retry_after_s == 3600


def test_pauses_double_up_to_the_longest_and_differ() -> None:
    retry = Retry(attempts=5000, first_wait_s=1, max_wait_s=10)
    for attempt, most in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (4999, 10)):
        pauses = {retry.pause_s(attempt, None) for _ in range(50)}
        assert len(pauses) > 10
        assert all(most / 2 <= pause <= most for pause in pauses if pause is not None)
    assert None not in {retry.pause_s(4999, 10)}
    assert retry.pause_s(5000, None) is None


def test_pauses_never_undercut_retry_after() -> None:
    retry = Retry(attempts=9, first_wait_s=0.5)
    assert all((retry.pause_s(attempt, 5) or 0) >= 5 for attempt in range(1, 9) for _ in range(20))


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("0", 0), ("", None), ("soon", None), ("-1", None), ("²", None)]
)
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}) == seconds


def test_retry_after_as_a_date() -> None:
    future = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < (retry_after_s({"retry-after": future}) or 0) <= 100
    for zone in ("GMT", "-0000"):
        assert retry_after_s({"retry-after": f"Sun, 06 Nov 1994 08:49:37 {zone}"}) == 0


def test_closing_wakes_the_thread_that_waits() -> None:
    waits = threading.Event()

    def busy(_: httpx.Request) -> httpx.Response:
        waits.set()
        return httpx.Response(503, headers={"Retry-After": "29"})

    failed: list[Exception] = []

    def ask() -> None:
        try:
            client.lookup(["a"])
        except ClientClosed as error:
            failed.append(error)

    client = Client("http://server", transport=httpx.MockTransport(busy))
    thread = threading.Thread(target=ask)
    thread.start()
    waits.wait(10)
    client.close()
    thread.join(10)
    assert len(failed) == 1


def test_a_closed_client_says_so(answering: Answering) -> None:
    server = Script(LOOKUP)
    client = answering(server, retry=QUICK)
    client.close()
    with pytest.raises(ClientClosed, match="closed"):
        client.lookup(["a"])
    assert server.count == 0


def test_a_closed_client_does_not_wait_to_say_so() -> None:
    attempts = Attempts(calls.lookup(["a"]), "http://server", PATIENT, None)
    with pytest.raises(ClientClosed):
        attempts.after(ClientClosed("http://server", "closed"))


@pytest.mark.parametrize("content", [b"hello", b"[]", b'{"existing": ["a"]}', b'{"existing": [1], "fingerprint": ""}'])
def test_another_kind_of_server_is_told_apart(answering: Answering, content: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="/v1/items/lookup gave status 200"):
        answering(lambda _: httpx.Response(200, content=content)).lookup(["a"])


@pytest.mark.parametrize("embedding", [[1.0], "AAA=", "no base64"])
def test_vectors_that_are_none_are_told_apart(answering: Answering, embedding: Any) -> None:
    body = {"model": "fake", "data": [{"index": 0, "embedding": embedding}]}
    with pytest.raises(UnexpectedAnswer):
        answering(lambda _: httpx.Response(200, json=body)).embed("a")


def test_an_error_of_something_in_between_is_one_line(answering: Answering) -> None:
    with pytest.raises(ApiError, match="<html> Too large</html>"):
        answering(lambda _: httpx.Response(413, text="<html>\n\n  Too   large</html>")).lookup(["a"])


@pytest.mark.parametrize("url", ["localhost:8000", "", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_address_is_refused(connect: Callable[..., Any], url: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        connect(url)


def test_headers_go_with_every_request(answering: Answering) -> None:
    seen: list[str] = []

    def remember(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json=LOOKUP)

    answering(remember, headers={"Authorization": "Bearer x"}).lookup(["a"])
    assert seen == ["Bearer x"]
