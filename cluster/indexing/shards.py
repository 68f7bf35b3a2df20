"""How each kind of source file is read: rows from a mark on, whatever is wrong with it."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any, Protocol, cast

from cluster.errors import ClusterError
from cluster.indexing.columns import Columns
from cluster.indexing.csv_files import read_csv
from cluster.indexing.lines import read_json_lines, read_text_lines
from cluster.indexing.parquet import read_parquet
from cluster.indexing.places import open_file, why
from cluster.indexing.rows import START, Kind, Mark, Row, Shard, Step
from cluster.indexing.single_files import read_single
from cluster.indexing.tar import read_tar

KINDS: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".tar": "tar",
    ".tgz": "tar",
}
DECOMPRESSORS: dict[str, Any] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


class _ReadRows(Protocol):
    def __call__(self, file: IO[bytes], shard: Shard, columns: Columns, start: Mark) -> Iterator[Step]: ...


READERS: dict[Kind, _ReadRows] = {
    "lines": read_text_lines,
    "jsonl": read_json_lines,
    "csv": read_csv,
    "tsv": partial(read_csv, delimiter="\t"),
    "parquet": read_parquet,
    "tar": read_tar,
}


def kind_of(place: str) -> Kind:
    """By the name: `a.tar.gz` and `b.jsonl.gz` too. Anything unknown is a file by itself."""
    path = PurePosixPath(place.lower())
    suffix = PurePosixPath(path.stem).suffix if path.suffix in DECOMPRESSORS and path.suffix != ".tgz" else path.suffix
    return KINDS.get(suffix, "file")


def read_shard(shard: Shard, columns: Columns, start: Mark = START) -> Iterator[Step]:
    """Its rows from `start` on, a step each, the last of them marked so. Raises nothing: what cannot be read is a row
    with its fault."""
    if shard.kind == "file":
        yield from read_single(shard)
        return
    after = start
    try:
        with _opened(shard.place) as file:
            for step in READERS[shard.kind](file, shard, columns, start):
                yield step
                after = step.after
    except ClusterError as error:
        yield Step(Row(shard.name, fault=str(error)), after, last=True)
    except Exception as error:  # each store and each compression has errors of its own
        yield Step(Row(shard.name, fault=f"cannot be read from here on: {why(error)}"), after, last=True)


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    with open_file(place) as file:
        decompress = DECOMPRESSORS.get(PurePosixPath(place.lower()).suffix)
        if decompress is None:
            yield file
            return
        with decompress(file) as plain:
            yield cast(IO[bytes], plain)
