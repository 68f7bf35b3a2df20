"""A client that counts on an embedding space is never given another's vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossray_client import FingerprintMismatch, NewItem
from encoders.fake import FakeEncoder
from retrieval.memory import MemoryIndex
from tests.unit.client.conftest import Connect, picture
from tests.unit.cluster.conftest import served

Calls = list[Callable[[Any], Any]]

PINNED: Calls = [
    lambda client: client.search("a"),
    lambda client: client.search(image=picture("red")),
    lambda client: client.store(NewItem(text="a")),
    lambda client: client.store(NewItem(image=picture("red"))),
    lambda client: client.store_batch([NewItem(text="a")]),
    lambda client: client.embed("a"),
    lambda client: client.match(["a"], [picture("red")]),
    lambda client: client.page(vectors=True),
]


@pytest.mark.parametrize("call", PINNED)
def test_another_space_is_refused_and_nothing_is_stored(connect: Connect, url: str, call: Callable[[Any], Any]) -> None:
    actual = connect(url).models().data[0].fingerprint
    with pytest.raises(FingerprintMismatch, match="0123456789abcdef") as caught:
        call(connect(url, fingerprint="0123456789abcdef"))
    assert (caught.value.status, caught.value.actual) == (409, actual)
    assert connect(url).page().count == 0


def test_what_has_nothing_to_do_with_vectors_is_not(connect: Connect, url: str) -> None:
    other = connect(url, fingerprint="0123456789abcdef")
    assert other.health().status == "ok"
    assert other.lookup(["a"]).existing == []


def test_the_same_space_passes(connect: Connect, url: str) -> None:
    fingerprint = connect(url).models().data[0].fingerprint
    pinned = connect(url, fingerprint=fingerprint)
    for call in PINNED:
        call(pinned)
    for item in pinned.items():
        pinned.delete(item.id)


def test_a_walk_ends_where_the_server_comes_back_with_another_model(connect: Connect, tmp_path: Path) -> None:
    memory = MemoryIndex(64)
    with served(FakeEncoder(), tmp_path, memory=memory) as url:
        client = connect(url, fingerprint=connect(url).models().data[0].fingerprint)
        client.store_batch(NewItem(text=f"number {n}") for n in range(4))
        walk = client.items(limit=2, vectors=True)
        next(walk)
    with (
        served(FakeEncoder(dim=32), tmp_path, http_port=int(url.rpartition(":")[2]), memory=memory),
        pytest.raises(FingerprintMismatch),
    ):
        list(walk)
