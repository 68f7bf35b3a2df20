"""Parquet tables, one row group after another, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from cluster.indexing.columns import Columns
from cluster.indexing.places import why
from cluster.indexing.rows import Mark, Row, Shard, Step, UnreadableSource

BATCH_ROWS = 16
"""Rows with images are megabytes each."""
BUFFER_BYTES = 1 << 20


def read_parquet(file: IO[bytes], shard: Shard, columns: Columns, start: Mark) -> Iterator[Step]:
    """One row a record; a mark is a row group and a row in it. Raises UnreadableSource for a file that makes no
    items."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without pre-buffering: a row group of images may be larger than memory.
        table = pq.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableSource(f"is not Parquet, or is cut off: {why(error)}") from error
    names = table.schema_arrow.names
    columns.check(names)
    group, skipped = start
    number = sum(table.metadata.row_group(before).num_rows for before in range(group))
    for group in range(start.offset, table.num_row_groups):
        row_in_group = 0
        try:
            for values in _rows(table, group, columns.needed(names)):
                row_in_group += 1
                if group == start.offset and row_in_group <= skipped:
                    continue
                name = f"{shard.name}:{number + row_in_group}"
                yield Step(columns.row(values, name, shard.place), Mark(group, row_in_group))
        except (pa.ArrowException, OSError) as error:
            fault = f"cannot be read, nor what follows in its row group: {why(error)}"
            yield Step(Row(f"{shard.name}:{number + row_in_group + 1}", fault=fault), Mark(group + 1))
        number += table.metadata.row_group(group).num_rows
    yield Step(None, Mark(table.num_row_groups), last=True)


def _rows(table: Any, group: int, columns: list[str]) -> Iterator[dict[str, Any]]:
    for batch in table.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
        yield from batch.to_pylist()
