"""What the client makes of a server that errs, is busy, or is not there."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from cluster.client import Client, Retry
from cluster.errors import ApiError, ServerUnreachable

LOOKUP = {"existing": ["a"], "fingerprint": "f"}
QUICK = Retry(attempts=3, first_wait_s=0.0)


def client(answer: Callable[[int], httpx.Response], retry: Retry | None = None) -> tuple[Client, list[httpx.Request]]:
    """A client whose server answers its n-th request (from 1) with `answer(n)`."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(len(seen))

    return Client("http://server", retry=retry, transport=httpx.MockTransport(handle)), seen


def refused(_: int) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def test_an_error_answer_names_field_and_reason() -> None:
    error = {"error": {"message": "too long", "type": "invalid_request", "param": "text", "code": "text_too_long"}}
    server, _ = client(lambda _: httpx.Response(400, json=error))
    with pytest.raises(ApiError) as caught:
        server.lookup(["a"])
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "text_too_long", "text")
    assert str(caught.value) == "too long (field text) [400 text_too_long]"


def test_an_error_of_something_in_between_is_still_one_line() -> None:
    server, _ = client(lambda _: httpx.Response(413, text="<html>\n\n  Too   large</html>"))
    with pytest.raises(ApiError, match="<html> Too large</html>"):
        server.lookup(["a"])


def test_no_server_says_how_to_start_one() -> None:
    server, seen = client(refused)
    with pytest.raises(ServerUnreachable, match="crossray up --detach"):
        server.lookup(["a"])
    assert len(seen) == 1


def test_another_kind_of_server_is_told_apart() -> None:
    server, _ = client(lambda _: httpx.Response(200, text="hello"))
    with pytest.raises(ServerUnreachable, match="not a Crossray server"):
        server.lookup(["a"])


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    server, seen = client(lambda n: httpx.Response(status) if n < 3 else httpx.Response(200, json=LOOKUP), QUICK)
    assert server.lookup(["a"]).existing == ["a"]
    assert len(seen) == 3


def test_a_server_that_comes_back_is_asked_again() -> None:
    server, seen = client(lambda n: refused(n) if n < 2 else httpx.Response(200, json=LOOKUP), QUICK)
    assert server.lookup(["a"]).existing == ["a"]
    assert len(seen) == 2


def test_patience_ends() -> None:
    server, seen = client(lambda _: httpx.Response(503), QUICK)
    with pytest.raises(ApiError, match="503"):
        server.lookup(["a"])
    assert len(seen) == 3


def test_a_bad_request_is_not_sent_again() -> None:
    server, seen = client(lambda _: httpx.Response(400), QUICK)
    with pytest.raises(ApiError):
        server.lookup(["a"])
    assert len(seen) == 1


def test_closing_wakes_whoever_waits() -> None:
    def close_and_answer(_: int) -> httpx.Response:
        server.close()
        return httpx.Response(503, headers={"Retry-After": "29"})

    server, seen = client(close_and_answer, Retry(attempts=3))
    with pytest.raises(ServerUnreachable, match="closed"):
        server.lookup(["a"])
    assert len(seen) == 1
