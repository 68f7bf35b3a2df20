"""What became of every row of a run: the report, the progress bar and the checkpoint, kept in step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from cluster.indexing.checkpoint import Checkpoint, Remembered, ShardProgress
from cluster.indexing.columns import Columns
from cluster.indexing.report import Failure, IndexReport
from cluster.indexing.rows import Mark, Row, Shard
from cluster.indexing.shards import read_shard


@dataclass(frozen=True, slots=True)
class Written:
    """A row that the server has: new, or there before."""

    outcome: Literal["indexed", "skipped"]
    id: str


Outcome: TypeAlias = Written | Failure


class StepKey(NamedTuple):
    """Which step of which shard, and where its reading would go on."""

    shard: int
    number: int
    after: Mark
    last: bool


@dataclass(frozen=True, slots=True)
class Work:
    """A row to be stored. Without a key nobody remembers it."""

    row: Row
    key: StepKey | None = None


class Ledger:
    """One run's account. Threads may settle at once; after `close` nothing counts any more."""

    def __init__(
        self,
        shards: Sequence[Shard] = (),
        checkpoint: Checkpoint | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`advance` hears of each settled row, and first of those that earlier runs settled."""
        self.report = IndexReport()
        self.shards = shards
        self._checkpoint = checkpoint
        self._advance = advance
        self._lock = threading.Lock()
        self._closed = False
        self._open: dict[int, ShardProgress] = {}

    def starts(self) -> Iterator[tuple[int, Mark]]:
        """Each shard that is not done, by its number, and where to begin. Counts what earlier runs did of them all."""
        for number, shard in enumerate(self.shards):
            known = self._checkpoint.recall(shard) if self._checkpoint is not None else Remembered()
            with self._lock:
                done = known.rows - len(known.failures)
                self.report.skipped += done
                self.report.remembered += known.rows
                self.report.failed += known.failures
                self._advance(known.rows)
                if known.done:
                    continue
                self._open[number] = ShardProgress(known)
            yield number, known.mark

    def work(self, columns: Columns) -> Iterator[Work]:
        """The rows of the shards that are not done, read as they are asked for. Bad ones are settled here."""
        for shard, start in self.starts():
            for number, step in enumerate(read_shard(self.shards[shard], columns, start)):
                key = StepKey(shard, number, step.after, step.last)
                if step.row is None:
                    self.settle(key, None)
                elif step.row.fault is not None:
                    self.settle(key, Failure(step.row.name, step.row.fault))
                else:
                    yield Work(step.row, key)

    def settle(self, key: StepKey | None, outcome: Outcome | None) -> None:
        """A step is done; one without a row, at the end of a shard, has no outcome."""
        with self._lock:
            if self._closed:
                return
            if isinstance(outcome, Failure):
                self.report.failed.append(outcome)
            elif outcome is not None:
                self.report.indexed += outcome.outcome == "indexed"
                self.report.skipped += outcome.outcome == "skipped"
            if key is not None:
                self._remember(key, outcome)
            if outcome is not None:
                self._advance(1)

    def close(self, *, complete: bool) -> None:
        """Ends the account; `complete` where the run came to its end."""
        with self._lock:
            self._closed = True
            if self._checkpoint is None:
                return
            if complete and self.report.failed:
                self._checkpoint.retry_failed(self.shards)
            self._checkpoint.close()

    def _remember(self, key: StepKey, outcome: Outcome | None) -> None:
        progress = self._open[key.shard]
        failure = outcome if isinstance(outcome, Failure) else None
        moved = progress.settle(key.number, key.after, last=key.last, is_row=outcome is not None, failure=failure)
        if self._checkpoint is not None:
            if isinstance(outcome, Written):
                self._checkpoint.prove(outcome.id)
            if moved:
                self._checkpoint.note(self.shards[key.shard], progress.known)
        if progress.known.done:
            del self._open[key.shard]
