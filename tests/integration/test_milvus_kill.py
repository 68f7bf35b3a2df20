"""A real Milvus server behind TLS and a token: who may speak to it, and what happens while it is frozen or killed."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import numpy as np
import pytest

from loadtests.chaos_milvus import run
from loadtests.milvus_server import MilvusServer
from retrieval.base import Payload, Query, Record, VectorIndex
from retrieval.errors import IndexFault, IndexUnavailable
from retrieval.open import open_index

pytestmark = pytest.mark.root
AXIS = np.eye(4, dtype=np.float32)[0]
DEADLINE_S = 0.3
"""Short, for a server that is frozen for longer than its session with its own etcd lasts ends itself."""


async def opened(server: MilvusServer, **changes: Any) -> VectorIndex:
    options = server.options(deadline_s=DEADLINE_S, consistency="session", **changes)
    return await open_index("milvus", dim=4, contract_json='{"model":"m"}', uri=server.uri, milvus=options)


@pytest.mark.parametrize(
    ("wrong", "error", "reason"),
    [
        ({"token": "root:wrong"}, IndexFault, "unauthenticated"),
        ({"token": ""}, IndexFault, "unauthenticated"),
        ({"ca_file": None}, IndexUnavailable, "CERTIFICATE_VERIFY_FAILED"),
        ({"server_name": "another.test"}, IndexUnavailable, "Hostname Verification Check failed"),
    ],
)
async def test_a_token_and_a_certificate_are_needed(
    guarded_milvus: MilvusServer, wrong: dict[str, Any], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason) as caught:
        await opened(guarded_milvus, **wrong)
    assert "wrong" not in str(caught.value), "a token is not shown"


async def test_a_frozen_server_is_left_alone_and_found_again(guarded_milvus: MilvusServer) -> None:
    index = await opened(guarded_milvus)
    await index.upsert([Record("a", AXIS, Payload(kind="image"))])
    waited_s, messages = [], []
    guarded_milvus.signal(signal.SIGSTOP)
    try:
        for _ in range(8):
            begun = time.monotonic()
            with pytest.raises(IndexUnavailable) as caught:
                await index.search([Query(AXIS, 1)])
            waited_s.append(time.monotonic() - begun)
            messages.append(str(caught.value))
    finally:
        guarded_milvus.signal(signal.SIGCONT)
    late = ["deadline" in message for message in messages]
    assert late == [True] * sum(late) + [False] * (8 - sum(late))
    assert 1 <= sum(late) <= 5, "five failures in a row open it, and a call before these may have failed"
    assert max(waited_s[sum(late) :]) < DEADLINE_S, "refused before the deadline, for nothing was asked"
    assert "it is tried again in" in messages[-1]
    assert 0 < caught.value.retry_after_s <= 2
    async with asyncio.timeout(30):
        while True:
            try:
                (hits,) = await index.search([Query(AXIS, 1)])
                break
            except IndexUnavailable as error:
                await asyncio.sleep(min(0.2, error.retry_after_s))
    assert [hit.id for hit in hits] == ["a"]
    await index.close()


@pytest.mark.timeout(300)
def test_a_killed_server_loses_and_doubles_nothing(guarded_milvus: MilvusServer) -> None:
    rounds = asyncio.run(run(3, guarded_milvus))
    assert all(r.acknowledged > 0 and r.deleted > 0 and r.refused > 0 for r in rounds), "the load met the outage"
    assert [(r.missing, r.unfound, r.doubled, r.undead) for r in rounds] == [(0, 0, 0, 0)] * 3
