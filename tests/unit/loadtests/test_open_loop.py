"""The open loop: arrivals by their seed, sent when due, and a latency that leaves no waiting out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from loadtests.bench_overload import recovery_s
from loadtests.load import json_request
from loadtests.open_loop import UNANSWERED, OpenReport, Sent, arrivals, open_loop

RATE = 200.0


@asynccontextmanager
async def server(stalls_s: float) -> AsyncIterator[str]:
    """Answers one request at a time; the tenth waits for so long, the 30th is refused, the 40th is not answered."""
    turn, seen, serving = asyncio.Lock(), 0, set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        serving.add(asyncio.current_task())
        while not reader.at_eof() and (await reader.readline()):
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            await reader.readexactly(length)
            async with turn:
                seen += 1
                number = seen
                await asyncio.sleep(stalls_s if number == 10 else 0)
            if number == 40:
                break
            status = b"429 Too Many Requests" if number == 30 else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await asyncio.gather(*serving)


def test_arrivals_are_a_poisson_process_with_a_seed() -> None:
    due = arrivals(RATE, 50.0, seed=1)
    assert due == arrivals(RATE, 50.0, seed=1) != arrivals(RATE, 50.0, seed=2)
    gaps = np.diff(due)
    assert np.mean(gaps) == pytest.approx(1 / RATE, rel=0.05)
    assert np.std(gaps) == pytest.approx(1 / RATE, rel=0.05)
    assert due[0] >= 0 and due[-1] < 50.0  # noqa: PT018


async def test_a_stall_shows_in_every_request_that_was_due_meanwhile() -> None:
    async with server(stalls_s=0.5) as url:
        report = await open_loop(url, lambda n: json_request("/", {"n": n}), rate_per_s=RATE, seconds=1.0)
    assert [one.due_s for one in report.sent] == arrivals(RATE, 1.0, seed=0)
    stalled = report.sent[9]
    meanwhile = [one for one in report.sent[10:] if one.due_s < stalled.due_s + 0.25]
    assert len(meanwhile) > 20, "they were sent while the server stood still"
    assert min(one.latency_s for one in meanwhile) > 0.2
    assert (len(report.of_status(429)), len(report.of_status(UNANSWERED))) == (1, 1)
    assert report.goodput_per_s() == sum(one.status == 200 and one.ended_s <= 1 for one in report.sent)


def test_recovery_is_told_by_the_last_that_was_slow() -> None:
    calm = [Sent(n, n / 10, n / 10, n / 10 + 0.1, 200) for n in range(200)]
    assert recovery_s(OpenReport(calm, 20.0), 0.2) == 0.0
    slow = [Sent(n, n / 10, n / 10, n / 10 + 0.5, 200) for n in range(30)]
    refused = [Sent(n, n / 10, n / 10, n / 10 + 0.1, 429) for n in range(30, 40)]
    assert recovery_s(OpenReport([*slow, *refused, *calm[40:]], 20.0), 0.2) == pytest.approx(3.7)
