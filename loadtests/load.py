"""A closed loop of clients over HTTP/1.1: each sends its next request when the last was answered.

Raw sockets under asyncio, because the generator shares the cores with the server it measures: an HTTP library costs
more CPU a request than Crossray does. Only what our servers send is understood: keep-alive and Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import numpy as np

BOUNDARY = "crossray-loadtest"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
SAME_BATCH_S = 0.05


class LoadError(RuntimeError):
    """A request was not answered with a 2xx."""


class NoLength(LoadError):
    """Not our own answer, and nothing tells where it ends: the connection is of no use any more."""


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


def json_request(path: str, body: Any, api_key: str = "") -> bytes:
    """A whole POST request with a JSON body."""
    return _request(path, "application/json", json.dumps(body).encode(), api_key)


def image_request(path: str, image: bytes, api_key: str = "") -> bytes:
    """A whole POST request that uploads an image as multipart/form-data."""
    return _request(path, MULTIPART, multipart_body(image), api_key)


def multipart_body(image: bytes, fields: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The body of an upload of an image with fields beside it (RFC 7578); its type is `MULTIPART`."""
    part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    texts = "".join(f'{part}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    head = f'{texts}{part}"image"; filename="photo.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def delete_request(path: str, api_key: str = "") -> bytes:
    return f"DELETE {path} HTTP/1.1\r\n{_own_headers(api_key)}\r\n".encode()


def _request(path: str, content_type: str, body: bytes, api_key: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\n{_own_headers(api_key)}Content-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _own_headers(api_key: str) -> str:
    return "Host: 127.0.0.1\r\n" + (f"Authorization: Bearer {api_key}\r\n" if api_key else "")


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
        answer = await self.exchange(request)
        if answer.status // 100 != 2:
            raise LoadError(f"answered {answer.status}: {answer.body[:300]!r}")
        return answer

    async def exchange(self, request: bytes) -> Answer:
        """Whatever is answered. Raises OSError or EOFError where nothing is, and NoLength."""
        started = time.perf_counter()
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        if "content-length" not in headers:
            raise NoLength(f"answered {head[0]!r} without Content-Length")
        body = await self._reader.readexactly(int(headers["content-length"]))
        ended = time.perf_counter()
        return Answer(ended - started, ended, int(head[0].split()[1]), headers, body)

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
