"""Clients that search all the time, and a few that write, while something is broken under them.

Each search is for the very words of a note that was stored before: any other answer than that note is a fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b

from loadtests.failover import Failed, FailoverClient
from loadtests.load import delete_request, json_request
from loadtests.outage import Search, Writes

CLIENTS = 16
WRITERS = 2
WRITE_PAUSE_S = 0.05
DELETED_EVERY = 5
NOTES = 200
LAST_ANSWER_S = 5.0
"""What was asked when the load ends is waited for so long."""


@dataclass
class Seen:
    """What the clients saw."""

    searches: list[Search] = field(default_factory=list)
    writes: Writes = field(default_factory=Writes)


def note(number: int) -> tuple[str, str]:
    """The id and the words of a note that searches are for: of no two alike."""
    words = blake2b(str(number).encode(), digest_size=16).hexdigest()
    return f"note-{number}", " ".join(words[at : at + 4] for at in range(0, len(words), 4))


@contextlib.contextmanager
def fault_load(urls: Sequence[str], api_key: str, mark: str) -> Iterator[Seen]:
    """The load, for as long as the block lasts. Written ids begin with `mark`. The notes must be stored before."""
    seen, stopping = Seen(), asyncio.Event()
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as thread:
        loop = runner.get_loop()
        ended = thread.submit(runner.run, _all(urls, api_key, mark, seen, stopping))
        try:
            yield seen
        finally:
            loop.call_soon_threadsafe(stopping.set)
            ended.result()


async def _all(urls: Sequence[str], api_key: str, mark: str, seen: Seen, stopping: asyncio.Event) -> None:
    loads = [_search(FailoverClient(urls, one), api_key, one, seen.searches, stopping) for one in range(CLIENTS)]
    loads += [
        _write(FailoverClient(urls, one), api_key, f"{mark}-{one}", seen.writes, stopping) for one in range(WRITERS)
    ]
    tasks = [asyncio.create_task(load) for load in loads]
    await stopping.wait()
    done, waiting = await asyncio.wait(tasks, timeout=LAST_ANSWER_S)
    for task in waiting:
        task.cancel()
    for task in done:
        task.result()


async def _search(
    http: FailoverClient, api_key: str, client: int, searches: list[Search], stopping: asyncio.Event
) -> None:
    number = client
    while not stopping.is_set():
        number += CLIENTS
        id, words = note(number % NOTES)
        began = time.monotonic()
        try:
            answer = await http.send(json_request("/v1/search", {"text": words, "top_k": 1}, api_key))
            hits = json.loads(answer.body)["hits"]
            fault = "" if [hit["id"] for hit in hits] == [id] else f"answered with {hits} for {id}"
        except (Failed, TimeoutError) as error:
            fault = str(error) or "no node took a connection"
        searches.append(Search(client, began, time.monotonic(), fault))
    await http.close()


async def _write(http: FailoverClient, api_key: str, prefix: str, writes: Writes, stopping: asyncio.Event) -> None:
    number = 0
    while not stopping.is_set():
        number += 1
        id = f"{prefix}-{number}"
        try:
            await http.send(json_request("/v1/items", {"id": id, "text": f"written as {id}"}, api_key))
            writes.kept.add(id)
            writes.acknowledged += 1
            if number % DELETED_EVERY == 0:
                writes.kept.discard(id)
                await http.send(delete_request(f"/v1/items/{id}", api_key))
                writes.deleted.add(id)
                writes.acknowledged += 1
        except (Failed, TimeoutError) as error:
            writes.refused.append(str(error) or "no node took a connection")
        await asyncio.sleep(WRITE_PAUSE_S)
    await http.close()
