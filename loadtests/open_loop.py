"""An open loop over HTTP/1.1: requests are sent when they are due, however slowly the server answers.

A closed loop sends less to a server that gets slower, and so leaves out the very requests that would have waited
(Gil Tene's "coordinated omission"). Here arrivals are a Poisson process with a fixed seed, and a latency counts from
the moment the request was due, whatever kept it from being sent. Raw sockets, as in `loadtests/load.py`, and for the
same reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from loadtests.load import Connection

UNANSWERED = 0
"""The status of a request whose connection broke."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request. Seconds from the start of the run; `sent_s` is when the generator got to it."""

    number: int
    due_s: float
    sent_s: float
    ended_s: float
    status: int

    @property
    def latency_s(self) -> float:
        """From the moment it was due."""
        return self.ended_s - self.due_s


@dataclass(frozen=True, slots=True)
class OpenReport:
    """All requests of a run, in the order in which they were due."""

    sent: list[Sent]
    seconds: float

    def of_status(self, *statuses: int) -> list[Sent]:
        return [one for one in self.sent if one.status in statuses]

    def statuses(self) -> dict[str, int]:
        return {str(status): count for status, count in sorted(Counter(one.status for one in self.sent).items())}

    def goodput_per_s(self) -> float:
        """2xx that ended while requests were due, a second."""
        return sum(one.status // 100 == 2 and one.ended_s <= self.seconds for one in self.sent) / self.seconds

    def generator_late_ms(self) -> float:
        """The 99th percentile of how late the generator was: what it adds to latencies by itself."""
        return percentile_ms([one.sent_s - one.due_s for one in self.sent], 99)


def percentile_ms(seconds: list[float], q: float) -> float:
    """NaN of nothing."""
    return float(np.percentile(seconds, q) * 1000) if seconds else float("nan")


def arrivals(rate_per_s: float, seconds: float, seed: int) -> list[float]:
    """When requests are due: a Poisson process, the same for the same seed."""
    draw = np.random.default_rng(seed)
    due = np.cumsum(draw.exponential(1 / rate_per_s, int(rate_per_s * seconds * 1.5) + 100))
    return [float(at) for at in due[due < seconds]]


class _Connections:
    """Keep-alive connections, as many as are needed at once."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Connection] = []

    async def exchange(self, request: bytes) -> int:
        try:
            connection = self._idle.pop() if self._idle else await Connection.open(self._url)
        except OSError:
            return UNANSWERED
        try:
            answer = await connection.exchange(request)
        except (OSError, EOFError):
            with contextlib.suppress(OSError):
                await connection.close()
            return UNANSWERED
        if answer.headers.get("connection", "").lower() == "close":
            await connection.close()
        else:
            self._idle.append(connection)
        return answer.status

    async def close(self) -> None:
        for connection in self._idle:
            await connection.close()


async def open_loop(
    url: str, make: Callable[[int], bytes], *, rate_per_s: float, seconds: float, seed: int = 0
) -> OpenReport:
    """Sends `make(0)`, `make(1)`, … when they are due, and waits for what is under way at the end."""
    connections = _Connections(url)
    sent: list[Sent] = []
    started = time.perf_counter()

    async def send(number: int, due_s: float) -> None:
        sent_s = time.perf_counter() - started
        status = await connections.exchange(make(number))
        sent.append(Sent(number, due_s, sent_s, time.perf_counter() - started, status))

    tasks: set[asyncio.Task[Any]] = set()
    for number, due_s in enumerate(arrivals(rate_per_s, seconds, seed)):
        pause_s = due_s - (time.perf_counter() - started)
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        task = asyncio.create_task(send(number, due_s))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    await connections.close()
    return OpenReport(sorted(sent, key=lambda one: one.number), seconds)
