"""The circuit breaker, by a clock of the test; and who counts against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymilvus.exceptions import MilvusException

from retrieval.errors import IndexFault, IndexUnavailable
from retrieval.milvus.breaker import CircuitBreaker
from retrieval.milvus.connection import Deadline, MilvusConnection
from retrieval.milvus.failures import named


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failures=3, pause_s=2.0, clock=clock)


def opened(breaker: CircuitBreaker) -> CircuitBreaker:
    assert [breaker.failed() for _ in range(3)] == [False, False, True]
    return breaker


def test_it_opens_after_failures_in_a_row(breaker: CircuitBreaker) -> None:
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert (breaker.state, breaker.admit()) == ("closed", None)
    breaker.failed()
    assert (breaker.state, breaker.admit()) == ("open", 2.0)


def test_it_says_how_long_it_stays_open(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.5
    assert breaker.admit() == pytest.approx(0.5)
    assert breaker.state == "open"


def test_one_probe_passes_and_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 2.0
    assert breaker.state == "half-open"
    assert breaker.admit() is None
    assert breaker.admit() == 2.0, "the others wait for the probe"
    breaker.succeeded()
    assert (breaker.state, breaker.admit(), breaker.admit()) == ("closed", None, None)


def test_a_probe_that_fails_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 2.5
    assert breaker.admit() is None
    assert breaker.failed()
    assert breaker.admit() == 2.0
    clock.now += 2.0
    assert breaker.admit() is None


def test_a_probe_that_never_ends_is_not_waited_for(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 2.0
    assert breaker.admit() is None
    clock.now += 2.0
    assert breaker.admit() is None, "another probe takes its place"
    assert breaker.admit() is not None


def test_a_failure_of_a_call_from_before_does_not_shorten_the_pause(breaker: CircuitBreaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 1.0
    breaker.failed()
    assert breaker.admit() == 2.0


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (65535, "cannot parse expression: id ==, error: no viable alternative", IndexFault),
        (1100, "invalid parameter", IndexFault),
        (100, "collection not found[collection=x]", IndexFault),
        (1100, "failed to create query plan: cannot parse expression: source == 5 connection", IndexFault),
        (65535, 'cannot parse expression: (source == "my connection"), error: field source not exist', IndexFault),
        (65535, r'cannot parse expression: (a == "say \"timeout\" twice"), error: no field a', IndexFault),
        (65535, r'invalid: "(a == \"the last shard\")"', IndexFault),
        (65535, 'cannot parse expression: (a in ["node not", "deadl', IndexFault),
        (65535, 'failed to search "items": collection not loaded', IndexUnavailable),
        (101, "collection not loaded[collection=x]", IndexUnavailable),
        (65535, "failed to query: collection not loaded[collection=1]", IndexUnavailable),
        (1, "service not ready[querycoord=1]: Initializing", IndexUnavailable),
        (503, "channel not available[channel=x]", IndexUnavailable),
        (8, "request is rejected by grpc RateLimiter middleware, please retry later", IndexUnavailable),
    ],
)
def test_what_the_server_refuses_is_not_its_failure(code: int, message: str, error: type[Exception]) -> None:
    ours = named(MilvusException(code=code, message=message + "\n  at segcore"), "http://milvus:19530")
    assert type(ours) is error
    assert "http://milvus:19530" in str(ours)
    assert "\n" not in str(ours)


@pytest.fixture
def connection(tmp_path: Path, breaker: CircuitBreaker) -> Iterator[MilvusConnection]:
    connection = MilvusConnection(tmp_path, deadline_s=1, breaker=breaker)
    yield connection
    connection.close()


async def test_one_call_counts_once_however_often_it_is_tried(
    connection: MilvusConnection, breaker: CircuitBreaker
) -> None:
    attempts = 0

    def away(by: Deadline) -> None:
        nonlocal attempts
        attempts += 1
        raise MilvusException(code=503, message="channel not available")

    with pytest.raises(IndexUnavailable):
        await connection.run(away)
    assert attempts >= 3, "as many as open the breaker, or this tests nothing"
    assert breaker.state == "closed"
    assert not breaker.failed()
    with pytest.raises(IndexUnavailable):
        await connection.run(away)
    assert breaker.admit() is not None, "the third call in a row that fails"


async def test_an_error_of_our_own_says_nothing_of_the_server(
    connection: MilvusConnection, breaker: CircuitBreaker
) -> None:
    def broken(by: Deadline) -> None:
        raise KeyError("id")

    def refused(by: Deadline) -> None:
        raise MilvusException(code=1100, message="invalid parameter")

    breaker.failed()
    breaker.failed()
    with pytest.raises(KeyError):
        await connection.run(broken)
    assert breaker.failed(), "the third in a row"
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    with pytest.raises(IndexFault):
        await connection.run(refused)
    assert not breaker.failed(), "it answered"
