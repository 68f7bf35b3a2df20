"""Builds and drops that cannot go on: they say why, and keep nobody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from reindex_stack import Stack

from deployments.catalog.versions import Version
from encoders.fake import FakeEncoder
from retrieval import Record
from retrieval.embedded.index import EmbeddedIndex
from retrieval.errors import IndexFault, InvalidRecord

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments")  # importing ray.serve


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    one = Stack(tmp_path, dims=(32,))
    yield one
    await one.close()


async def test_a_version_that_cannot_be_deleted_keeps_nobody_waiting(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (stack.catalog.create(name, stack.places.first_plan(FakeEncoder(32).info)) for name in "ab")
    drop = stack.versions.drop

    async def refuse(version: Version) -> None:
        if version.id == first.id:
            raise OSError("Directory not empty")
        await drop(version)

    monkeypatch.setattr(stack.versions, "drop", refuse)
    for name in "ab":
        stack.catalog.delete_collection(name)
    async with stack.maintained(), asyncio.timeout(20):
        while stack.catalog.version(second.id) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert (await stack.ended(await stack.reindex())).state == "live"
    assert stack.catalog.version(first.id) is not None


async def test_a_record_that_the_new_index_refuses_fails_alone(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        await stack.add(id=f"note-{number}", text=f"note {number}")
    upsert = EmbeddedIndex.upsert

    async def picky(self: EmbeddedIndex, records: Sequence[Record]) -> None:
        if any(record.id == "note-3" for record in records):
            raise InvalidRecord("it does not fit", "records[0].text")
        await upsert(self, records)

    monkeypatch.setattr(EmbeddedIndex, "upsert", picky)
    async with stack.maintained(), asyncio.timeout(20):
        refused = await stack.ended(await stack.reindex(index_type="flat"))
        assert (refused.state, refused.report.failures) == ("ready", (("note-3", "it does not fit"),))
        passed = await stack.ended(await stack.reindex(index_type="flat", max_failed=1))
        assert (passed.state, await stack.index(passed.id).count()) == ("live", 4)


async def test_an_index_that_refuses_everything_ends_the_build_with_the_reason(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stack.add(text="a note")

    async def broken(self: EmbeddedIndex, after: str, limit: int) -> list[Record]:
        raise IndexFault("segment 7 is damaged")

    monkeypatch.setattr(EmbeddedIndex, "scan", broken)
    async with stack.maintained(), asyncio.timeout(20):
        refused = await stack.ended(await stack.reindex())
    assert (refused.state, refused.report.phase) == ("ready", "refused")
    assert "segment 7 is damaged" in refused.report.detail


async def test_a_build_whose_encoder_does_not_run_says_so(tmp_path: Path) -> None:
    before = Stack(tmp_path, dims=(32, 48))
    await before.add(text="a note")
    version = await before.reindex(encoder=FakeEncoder(48).info.contract.fingerprint)
    await before.close()
    stack = Stack(tmp_path, dims=(32,))
    async with stack.maintained(), asyncio.timeout(20):
        while "does not run" not in (await shown(stack, version))["build"]["detail"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await stack.close()


async def shown(stack: Stack, version: int) -> Any:
    versions = (await stack.http.get("/v1/collections/default")).json()["versions"]
    return next(one for one in versions if one["id"] == version)
