"""The load generator itself: what it sends, what it counts, and how it tells batches."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from PIL import Image

from loadtests.inputs import DistinctPhotos
from loadtests.load import Answer, LoadError, LoadReport, closed_loop, json_request


@asynccontextmanager
async def echo(status: str = "200 OK") -> AsyncIterator[tuple[str, list[dict[str, int]]]]:
    """The URL of a server that answers `status`, and the bodies it was sent."""
    seen: list[dict[str, int]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            head = await reader.readline()
            if not head:
                break
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            seen.append(json.loads(await reader.readexactly(length)))
            writer.write(f"HTTP/1.1 {status}\r\nServer-Timing: encode;dur=1.5, total;dur=2\r\n".encode())
            writer.write(b"Content-Length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


async def test_every_request_is_sent_once_and_answered() -> None:
    async with echo() as (url, seen):
        report = await closed_loop(url, lambda n: json_request("/", {"n": n}), clients=3, seconds=60, most=10)
    assert sorted(body["n"] for body in seen) == list(range(10))
    assert len(report.answers) == 10
    assert report.answers[0].stages_ms() == {"encode": 1.5, "total": 2.0}


async def test_an_error_ends_the_run() -> None:
    async with echo("429 Too Many Requests") as (url, _):
        with pytest.raises(ExceptionGroup) as caught:
            await closed_loop(url, lambda n: json_request("/", {"n": n}), clients=1, seconds=60, most=1)
    assert caught.group_contains(LoadError, match="429")


def test_answers_that_ran_together_are_one_batch() -> None:
    def answer(encode_ms: float, ended_s: float) -> Answer:
        return Answer(0.1, ended_s, 200, {"server-timing": f"encode;dur={encode_ms}, total;dur=9"}, b"")

    together = [answer(100.125, 1.000), answer(100.125, 1.004), answer(100.131, 1.101)]
    same_time_by_chance = [answer(100.125, 1.400)]
    cached = [Answer(0.1, 1.5, 200, {"server-timing": "cache;dur=0.2, total;dur=1"}, b"")]
    assert LoadReport(together + same_time_by_chance + cached, 1.0).batch_sizes() == [2, 1, 1]


def test_photos_differ_as_files_and_not_as_pictures() -> None:
    photos = DistinctPhotos()
    files = [photos() for _ in range(24)]
    assert len(set(files)) == len(files)
    by_pixels = set()
    for file in files:
        with Image.open(io.BytesIO(file)) as image:
            by_pixels.add(np.asarray(image.convert("RGB")).tobytes())
    assert len(by_pixels) < len(files)
    assert all(40_000 < len(file) < 110_000 for file in files)
