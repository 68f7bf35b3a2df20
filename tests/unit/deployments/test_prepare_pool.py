"""Preparing in processes, some of which die."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from deployments.errors import EncoderFault
from deployments.prepare_pool import PreparePool
from encoders import EncoderInput, Prepared, Role


class Mortal:
    """Says which process it ran in; a text "die" kills that process, as the kernel does for want of memory."""

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        if item.text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return Prepared((item.text, os.getpid()), 1, "text")


@pytest.fixture
async def pool() -> AsyncIterator[PreparePool]:
    pool = PreparePool(Mortal(), 2, processes=True)
    yield pool
    pool.close()


async def prepared(pool: PreparePool, text: str) -> tuple[str, int]:
    """The text that came through, and the process it came through."""
    found, _ = await pool.prepare(EncoderInput(text), "document")
    assert isinstance(found, Prepared), found
    text, pid = found.payload
    return text, pid


async def test_a_killed_process_is_replaced_and_nobody_notices(pool: PreparePool) -> None:
    for _ in range(2):
        _, pid = await prepared(pool, "before")
        os.kill(pid, signal.SIGKILL)
        texts = [f"after {number}" for number in range(20)]
        assert [text for text, _ in await asyncio.gather(*(prepared(pool, text) for text in texts))] == texts


async def test_an_input_that_kills_each_process_fails_alone(pool: PreparePool) -> None:
    texts = ["one", "die", "two", "die", "three"]
    found = await asyncio.gather(*(pool.prepare(EncoderInput(text), "document") for text in texts))
    assert [isinstance(result, EncoderFault) for result, _ in found] == [text == "die" for text in texts]
    assert (await prepared(pool, "four"))[0] == "four"
