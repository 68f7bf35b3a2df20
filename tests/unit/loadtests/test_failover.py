"""The client of several nodes: what goes to another node, and what has failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cluster.ports import free_port
from loadtests.failover import Failed, FailoverClient
from loadtests.load import json_request

REQUEST = json_request("/v1/search", {"text": "x"}, "a key")
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BROKEN = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"


@asynccontextmanager
async def node(answer: str) -> AsyncIterator[tuple[str, list[str]]]:
    """The URL of one that answers so, and the requests it got. With no answer it hangs up on each."""
    got: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.read(65536)).decode():
            got.append(head)
            if not answer:
                break
            writer.write(answer.encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", got


async def test_a_refused_connection_goes_to_the_next_node() -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    async with node(OK) as (url, got):
        client = FailoverClient([gone, url], 0)
        assert (await client.send(REQUEST)).status == 200
        assert (await client.send(REQUEST)).status == 200
        await client.close()
    assert len(got) == 2
    assert "Authorization: Bearer a key" in got[0]


@pytest.mark.parametrize("answer", ["", BROKEN])
async def test_what_was_sent_and_not_answered_has_failed_and_is_not_repeated(answer: str) -> None:
    async with node(answer) as (broken, sent), node(OK) as (url, got):
        client = FailoverClient([broken, url], 0)
        with pytest.raises(Failed):
            await client.send(REQUEST)
        assert (len(sent), len(got)) == (1, 0)
        assert (await client.send(REQUEST)).status == 200
        assert (len(sent), len(got)) == (1, 1)
        await client.close()


async def test_a_connection_that_was_closed_with_its_answer_is_opened_anew() -> None:
    closing = OK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    async with node(closing) as (url, got):
        client = FailoverClient([url], 0)
        for _ in range(2):
            assert (await client.send(REQUEST)).status == 200
        await client.close()
    assert len(got) == 2


async def test_an_answer_that_has_no_length_is_a_fault() -> None:
    async with node("HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") as (url, _):
        client = FailoverClient([url], 0)
        with pytest.raises(Failed, match="502 Bad Gateway"):
            await client.send(REQUEST)


async def test_a_client_waits_for_a_node_to_come_back() -> None:
    port = free_port()
    client = FailoverClient([f"http://127.0.0.1:{port}"], 0)
    waiting = asyncio.create_task(client.send(REQUEST))
    await asyncio.sleep(0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(OK.encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        assert (await waiting).status == 200
        await client.close()
