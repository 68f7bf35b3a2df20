"""What one run of `crossray index` shall do, whichever way its rows travel."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from cluster.client import Client
from cluster.indexing.checkpoint import Checkpoint, checkpoint_path
from cluster.indexing.columns import Columns
from cluster.indexing.rows import Shard
from cluster.terms import Scalar
from deployments.catalog.versions import DEFAULT


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """Source files, how their rows are read, and what every item gets."""

    shards: Sequence[Shard]
    columns: Columns
    tags: tuple[str, ...]
    metadata: Mapping[str, Scalar]
    concurrency: int
    """Items in flight."""
    collection: str = DEFAULT

    @property
    def rows(self) -> int | None:
        """How many there are; None where a table or an archive is among the shards, which does not say beforehand."""
        return len(self.shards) if all(shard.kind == "file" for shard in self.shards) else None

    def open_checkpoint(
        self, client: Client, cache_dir: Path, *, again: bool, remark: Callable[[str], None]
    ) -> Checkpoint | None:
        """What earlier runs of this kind did on this server; empty where its items are gone, or with `again`.

        None where the cache folder cannot be written: then an interrupted run reads everything again.
        """
        fingerprint = client.lookup(["none"]).fingerprint
        options = [*astuple(self.columns), self.tags, sorted(self.metadata.items())]
        if self.collection != DEFAULT:
            options.append(self.collection)
        path = checkpoint_path(cache_dir / "indexing", client.url, fingerprint, repr(options))
        try:
            checkpoint = Checkpoint(path)
        except (OSError, sqlite3.Error) as error:
            remark(f"how far it comes is not remembered: {path.parent}: {error}")
            return None
        proofs = checkpoint.proofs()
        lost = len(proofs) - len(client.lookup(proofs).existing) if proofs else 0
        if lost:
            remark(f"{lost} of {len(proofs)} items of an earlier run are gone from the server: starting over")
        if lost or again:
            checkpoint.forget()
        return checkpoint
