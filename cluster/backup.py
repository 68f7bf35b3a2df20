"""A collection to a folder and back, checked at every step: Parquet files in the format of `crossray export`, and a
manifest with their checksums that is written last.

A folder without a manifest is a backup that was cut off: run again, it goes on after the last whole file. Items
written or deleted while a backup runs may be in it or not; every item in it is whole.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from cluster.client import Client
from cluster.errors import BadBackup
from cluster.files import open_result, write_text
from cluster.transfer import ROWS, ImportReport, Row, import_items, open_export, read_rows, schema_of
from deployments.schemas.status import ModelAnswer

Advance: TypeAlias = Callable[[int], None]

MANIFEST = "manifest.json"
FILE_BYTES = 256 << 20
"""Of images and vectors in one file: what is done again after an interruption."""


class BackupFile(BaseModel):
    """One Parquet file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    items: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a backup holds. `contract` is that of its vectors; times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    crossray: str
    finished_at: str
    fingerprint: str
    contract: dict[str, str | int | bool | None]
    items: int
    files: tuple[BackupFile, ...]


def back_up(client: Client, folder: Path, *, advance: Advance = lambda _: None) -> Manifest:
    """Write every item into `folder`: a new one, an empty one, or one where a backup of this collection was cut off.

    Raises BadBackup, and ClusterError as `cluster.transfer.export_items`.
    """
    model = client.model()
    files = list(_files_of_unfinished(folder, model))
    advance(sum(file.items for file, _ in files))
    rows = read_rows(client, model, after=files[-1][1] if files else "")
    done = [file for file, _ in files]
    page = next(rows, None)
    while page is not None:
        path = folder / f"items-{len(done):05}.parquet"
        page = _write_file(path, schema_of(model, media=True), page, rows, advance)
        done.append(_described(path))
    manifest = Manifest(
        crossray=version("crossray"),
        finished_at=datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"),
        fingerprint=model.fingerprint,
        contract=dict(model.contract),
        items=sum(file.items for file in done),
        files=tuple(done),
    )
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def check_backup(folder: Path) -> Manifest:
    """The manifest, once every file is what it says. Raises BadBackup naming the first that is not."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadBackup(f"{folder} has no {MANIFEST}: it is no backup, or one that was cut off") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise BadBackup(f"{folder / MANIFEST} is damaged, or of another version of Crossray") from error
    for file in manifest.files:
        path = folder / file.name
        if path.parent != folder or not path.is_file():
            raise BadBackup(f"{path} is missing")
        if _sha256(path) != file.sha256:
            raise BadBackup(f"{path} is not what was written: its checksum differs")
    return manifest


def restore(client: Client, folder: Path, manifest: Manifest, *, advance: Advance = lambda _: None) -> ImportReport:
    """Store every item of a checked backup whose id is not there yet; a run that was cut off is simply run again.

    Raises BadExport for another vector contract; then nothing is stored.
    """
    report = ImportReport()
    for file in manifest.files:
        part = import_items(client, folder / file.name, advance=advance)
        report.imported += part.imported
        report.skipped += part.skipped
        report.failed.extend(part.failed)
    return report


def differing_items(
    client: Client, folder: Path, manifest: Manifest, *, advance: Advance = lambda _: None
) -> Iterator[str]:
    """The ids of a checked backup's items that the server lacks, or has otherwise: vectors and images bit for bit."""
    stored = (row for rows in read_rows(client, client.model()) for row in rows)
    here: Row | None = next(stored, None)
    for row in _backed_up(folder, manifest):
        while here is not None and here["id"] < row["id"]:
            here = next(stored, None)
        if here is None or here["id"] != row["id"] or _as_read(here) != row:
            yield row["id"]
        advance(1)


def _files_of_unfinished(folder: Path, model: ModelAnswer) -> Iterator[tuple[BackupFile, str]]:
    """The whole files of a backup that was cut off, each with its last id."""
    if (folder / MANIFEST).exists():
        raise BadBackup(f"{folder} holds a backup already: give another folder")
    found = sorted(folder.glob("items-*.parquet"))
    others = {path.name for path in folder.glob("[!.]*")} - {path.name for path in found}
    if others or [path.name for path in found] != [f"items-{at:05}.parquet" for at in range(len(found))]:
        raise BadBackup(f"{folder} is not empty, and not a backup that was cut off: give another folder")
    for path in found:
        file = open_export(path)
        if (file.schema_arrow.metadata or {}).get(b"crossray.fingerprint") != model.fingerprint.encode():
            raise BadBackup(f"{path} has vectors of another space than the server's {model.fingerprint}")
        last = file.read_row_group(file.metadata.num_row_groups - 1, columns=["id"])["id"][-1].as_py()
        yield _described(path), last


def _write_file(
    path: Path, schema: pa.Schema, page: list[Row], rows: Iterator[list[Row]], advance: Advance
) -> list[Row] | None:
    """Writes pages until the file is large enough. Returns the first page that is not in it."""
    left: list[Row] | None = page
    with open_result(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        size = 0
        while left is not None and size < FILE_BYTES:
            writer.write_table(pa.Table.from_pylist(left, schema=schema))
            size += sum(len(row["image"] or b"") + 4 * len(row["vector"]) for row in left)
            advance(len(left))
            left = next(rows, None)
    return left


def _described(path: Path) -> BackupFile:
    items = int(open_export(path).metadata.num_rows)
    return BackupFile(name=path.name, items=items, bytes=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _backed_up(folder: Path, manifest: Manifest) -> Iterator[Row]:
    for file in manifest.files:
        for batch in open_export(folder / file.name).iter_batches(batch_size=ROWS):
            yield from batch.to_pylist()


def _as_read(row: Row) -> Row:
    """As Parquet gives it back."""
    return {**row, "tags": list(row["tags"]), "vector": list(row["vector"])}
