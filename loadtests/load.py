"""A closed loop of clients over HTTP/1.1: each sends its next request when the last was answered.

Raw sockets under asyncio, because the generator shares the cores with the server it measures: an HTTP library costs
more CPU a request than Crossray does. Only what our servers send is understood: keep-alive and Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

BOUNDARY = "crossray-loadtest"
SAME_BATCH_S = 0.05


class LoadError(RuntimeError):
    """A request was not answered with a 2xx."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`latency_s` runs from the first byte sent to the last byte received, which was at `ended_s`."""

    latency_s: float
    ended_s: float
    status: int
    headers: dict[str, str]
    body: bytes

    def stages_ms(self) -> dict[str, float]:
        """The `Server-Timing` header by stage, in milliseconds; empty where the server sends none."""
        entries = [entry.strip().partition(";dur=") for entry in self.headers.get("server-timing", "").split(",")]
        return {name: float(value) for name, _, value in entries if value}


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a closed loop saw. `answers` are in the order they arrived."""

    answers: list[Answer]
    wall_s: float

    @property
    def per_second(self) -> float:
        return len(self.answers) / self.wall_s

    def percentile_ms(self, q: float) -> float:
        return float(np.percentile([answer.latency_s for answer in self.answers], q) * 1000)

    def batch_sizes(self) -> list[int]:
        """How many answers shared each batch of the encoder; empty where the server does not tell.

        Items of a batch report its duration, to the microsecond, as their `encode` stage. Answers that report the same
        and arrived close together were one batch.
        """
        sizes: list[int] = []
        last: dict[float, tuple[int, float]] = {}
        for answer in self.answers:
            encode_ms = answer.stages_ms().get("encode")
            if encode_ms is None:
                continue
            batch, seen = last.get(encode_ms, (-1, 0.0))
            if batch < 0 or answer.ended_s - seen > SAME_BATCH_S:
                batch = len(sizes)
                sizes.append(0)
            sizes[batch] += 1
            last[encode_ms] = (batch, answer.ended_s)
        return sizes


def json_request(path: str, body: Any) -> bytes:
    """A whole POST request with a JSON body."""
    return _request(path, "application/json", json.dumps(body).encode())


def image_request(path: str, image: bytes) -> bytes:
    """A whole POST request that uploads an image as multipart/form-data."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
    body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    return _request(path, f"multipart/form-data; boundary={BOUNDARY}", body)


def _request(path: str, content_type: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def send(self, request: bytes) -> Answer:
        """Raises LoadError for an answer that is not a 2xx."""
        started = time.perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await self._reader.readexactly(int(headers["content-length"]))
        ended = time.perf_counter()
        answer = Answer(ended - started, ended, int(head[0].split()[1]), headers, body)
        if answer.status // 100 != 2:
            raise LoadError(f"answered {answer.status}: {body[:300]!r}")
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def closed_loop(
    url: str, make: Callable[[int], bytes], *, clients: int, seconds: float, most: int = sys.maxsize
) -> LoadReport:
    """`clients` connections send `make(0)`, `make(1)`, … for `seconds`, and `most` requests at the most.

    What is under way at the end is awaited and counted.
    """
    answers: list[Answer] = []
    sent = 0
    started = time.perf_counter()

    async def client() -> None:
        nonlocal sent
        connection = await Connection.open(url)
        try:
            while sent < most and time.perf_counter() - started < seconds:
                number, sent = sent, sent + 1
                answers.append(await connection.send(make(number)))
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return LoadReport(answers, time.perf_counter() - started)
