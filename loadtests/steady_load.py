"""Clients that upload, delete and search over HTTP until they are stopped, and remember what they were told."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

CLIENTS = 6
DELETED_EVERY = 7


@dataclass
class Seen:
    """What the clients were answered. `kept` and `deleted` hold what was acknowledged."""

    kept: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    searches: int = 0
    fingerprints: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def missing(self, url: str) -> list[str]:
        """Ids that were acknowledged and are not there."""
        ids, missing = sorted(self.kept), []
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            for start in range(0, len(ids), 1000):
                part = ids[start : start + 1000]
                there = set(http.post("/v1/items/lookup", json={"ids": part}).json()["existing"])
                missing += [id for id in part if id not in there]
        return missing


def walked_ids(url: str, api_key: str = "") -> list[str]:
    """Of all items that are stored, one by one."""
    ids: list[str] = []
    after: str | None = ""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx.Client(base_url=url, timeout=60, trust_env=False, headers=headers) as http:
        while after is not None:
            answer = http.get("/v1/items", params={"after": after, "limit": 1000})
            answer.raise_for_status()
            page = answer.json()
            ids += [item["id"] for item in page["items"]]
            after = page["next"]
    return ids


@contextlib.contextmanager
def steady_load(url: str, mark: str) -> Iterator[Seen]:
    """The load, for as long as the block lasts."""
    seen, stopping = Seen(), threading.Event()

    def client(number: int) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            count = 0
            while not stopping.is_set():
                count += 1
                id = f"{mark}-{number}-{count}"
                try:
                    _turn(http, id, count % DELETED_EVERY == 0, seen)
                except httpx.TransportError as error:
                    seen.faults.append(repr(error))
                    time.sleep(0.1)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _turn(http: httpx.Client, id: str, is_deleted: bool, seen: Seen) -> None:
    """An upload, a search for its very words, which must find it with a cosine of 1, and now and then its delete."""
    stored = http.post("/v1/items", json={"id": id, "text": f"note {id}"})
    if not stored.is_success:
        seen.faults.append(f"{stored.status_code} {stored.text[:200]}")
        return
    seen.kept.add(id)
    found = http.post("/v1/search", json={"text": f"note {id}", "top_k": 50})
    if not found.is_success:
        seen.faults.append(f"{found.status_code} {found.text[:200]}")
    else:
        seen.searches += 1
        body = found.json()
        seen.fingerprints.add(body["fingerprint"])
        if body["hits"][0]["score"] < 1 - 1e-3:
            seen.faults.append(f"mixed or stale: {body['fingerprint']} answers {body['hits'][0]['score']} for {id}")
    if is_deleted:
        gone = http.delete(f"/v1/items/{id}")
        seen.kept.discard(id)
        if gone.is_success:
            seen.deleted.add(id)
        else:
            seen.faults.append(f"{gone.status_code} {gone.text[:200]}")
