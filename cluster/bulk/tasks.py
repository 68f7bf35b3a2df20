"""What runs in the cluster: reading shards, in tasks, and writing rows, in an actor that holds Serve's handles."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from cluster.bulk.store import RowStore
from cluster.bulk.tables import outcomes_table, read_work, steps_table
from cluster.indexing.columns import Columns
from cluster.indexing.ledger import StepKey
from cluster.indexing.rows import Mark, Row, Shard
from cluster.indexing.shards import read_shard
from cluster.terms import Scalar
from deployments.ingress import WriterOptions
from deployments.live_writing import open_live_items
from deployments.writers_lock import WritersLock

APP = "crossray"
STEP_ROWS = 32
BLOCK_BYTES = 2 << 20
"""A block lives in the object store, which is small on one machine; and its rows are settled together, so this is what
an interruption leaves to be looked up again: some twenty photos, or thousands of
short texts."""
FILES_A_TASK = 128
CALLS_AN_ACTOR = 6
"""Blocks that a writer has under way: one ends while the next ones keep the encoder busy."""

Start = tuple[int, Shard, Mark]
"""A shard by its number, and where to begin."""


class ShardSource(Datasource):
    """The shards that are not done: a task for each table or archive, and one for so many photos."""

    def __init__(self, starts: Sequence[Start], columns: Columns) -> None:
        super().__init__()
        self.groups = _grouped(starts)
        self._columns = columns

    def get_name(self) -> str:
        return "Shards"

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """A task a group, however many are asked for: a mark is one reader's."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(_Reading(group, self._columns), unknown) for group in self.groups]


class _Reading:
    """The function of one read task."""

    def __init__(self, group: Sequence[Start], columns: Columns) -> None:
        self._group = group
        self._columns = columns

    def __call__(self) -> Iterable[pa.Table]:
        return map(steps_table, _blocks(self._steps()))

    def _steps(self) -> Iterator[tuple[StepKey, Row | None]]:
        for number, shard, start in self._group:
            for at, step in enumerate(read_shard(shard, self._columns, start)):
                yield StepKey(number, at, step.after, step.last), step.row


class WriteRows:
    """A table of steps in, a table of outcomes out. Ray Data calls it from several threads at once."""

    def __init__(self, tags: Sequence[str], metadata: Mapping[str, Scalar], concurrency: int, collection: str) -> None:
        # Serve's handles belong to the loop they were made on; Ray Data's threads come and go.
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="writing", daemon=True).start()
        self._store = self._run(_open_store(tags, metadata, concurrency, collection))

    def __call__(self, table: pa.Table) -> pa.Table:
        work, settled = read_work(table)
        outcomes = self._run(self._store.write(work)) if work else []
        keys = [one.key for one in work if one.key is not None]
        return outcomes_table([*settled, *zip(keys, outcomes, strict=True)])

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


async def _open_store(
    tags: Sequence[str], metadata: Mapping[str, Scalar], concurrency: int, collection: str
) -> RowStore:
    from ray import serve

    told: WriterOptions = await serve.get_deployment_handle("Ingress", APP).writer_options.remote()
    if told.lock_path is not None:
        WritersLock(told.lock_path).share()
    encoders = [serve.get_deployment_handle(name, APP) for name in told.encoders]
    ocr = serve.get_deployment_handle("Ocr", APP) if told.reads_images else None
    retriever = serve.get_deployment_handle("Retriever", APP)
    items = await open_live_items(told.writing, retriever, encoders, ocr, collection=collection)
    return RowStore(items, tags, metadata, concurrency=concurrency, collection=collection)


def _grouped(starts: Sequence[Start]) -> list[list[Start]]:
    files = [start for start in starts if start[1].kind == "file"]
    groups = [files[at : at + FILES_A_TASK] for at in range(0, len(files), FILES_A_TASK)]
    return groups + [[start] for start in starts if start[1].kind != "file"]


def _blocks(steps: Iterator[tuple[StepKey, Row | None]]) -> Iterator[list[tuple[StepKey, Row | None]]]:
    block: list[tuple[StepKey, Row | None]] = []
    size = 0
    for key, row in steps:
        block.append((key, row))
        size += 0 if row is None else row.size_bytes
        if len(block) == STEP_ROWS or size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block
