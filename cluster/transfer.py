"""A collection to a Parquet file and back, over HTTP: items, vectors, media, and the contract that made the vectors.

One row an item: id, kind, text, source, tags, metadata (JSON), created_at, ocr_text (null where no image was read),
vector (fixed-size list of float32), image (the stored file's bytes). The file's schema metadata holds
`crossray.contract` (canonical JSON), `crossray.fingerprint`, `crossray.version` and `crossray.media`. Both directions
work a batch at a time, so memory does not grow with the collection.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cluster.client import Client
from cluster.errors import ApiError, BadExport, ClusterError
from cluster.files import open_result
from cluster.indexing.report import Failure
from deployments.schemas.errors import ErrorAnswer
from deployments.schemas.items import ItemAnswer, ItemPage
from deployments.schemas.status import ModelAnswer
from encoders.contract import VectorContract
from encoders.errors import ContractMismatch
from retrieval import media_address

Row: TypeAlias = dict[str, Any]
Advance: TypeAlias = Callable[[int], None]

FORMAT_VERSION = "1"
ROWS = 64
"""Rows in a row group and in an import's batch: bounds memory where each row carries a photo."""
READ_ROWS = 4_096
"""Vectors alone, at a time."""
MAX_BATCH_BYTES = 8 << 20
"""Image bytes in one request of an import; base64 adds a third."""
FETCHES = 8


@dataclass(slots=True)
class ImportReport:
    """What an import did; `skipped` ids were there already."""

    imported: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)


def export_items(client: Client, path: Path, *, media: bool = True, advance: Advance = lambda _: None) -> int:
    """Write every item to `path`, which appears whole or not at all. Returns how many there were.

    Items written or deleted while the export runs may be in it or not. Raises ClusterError when the space changes
    meanwhile, and for an item that is there and whose image is not.
    """
    model = client.model()
    schema = schema_of(model, media)
    written = 0
    with open_result(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in read_rows(client, model, media=media):
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            written += len(rows)
            advance(len(rows))
    return written


def read_rows(client: Client, model: ModelAnswer, *, media: bool = True, after: str = "") -> Iterator[list[Row]]:
    """Every item beyond the id `after`, by id, up to ROWS at a time. Raises as `export_items`."""
    with ThreadPoolExecutor(FETCHES) as pool:
        for page in client.pages(limit=ROWS, vectors=True, after=after):
            _require_same_space(page, model)
            rows = [row for row in pool.map(lambda item: _row(client, item, media), page.items) if row is not None]
            if rows:
                yield rows


def count_rows(path: Path) -> int:
    """How many items an export holds. Raises BadExport."""
    return int(open_export(path).metadata.num_rows)


def vectors_of(path: Path, advance: Advance = lambda _: None) -> NDArray[np.float32]:
    """`(n, dim)`: the vectors of an export. Raises BadExport."""
    blocks = []
    for batch in open_export(path).iter_batches(batch_size=READ_ROWS, columns=["vector"]):
        column = batch.column(0)
        blocks.append(column.flatten().to_numpy().reshape(len(column), column.type.list_size))
        advance(len(column))
    if not blocks:
        raise BadExport(f"{path} holds no items")
    return np.concatenate(blocks)


def import_items(
    client: Client, path: Path, *, reembed: bool = False, advance: Advance = lambda _: None
) -> ImportReport:
    """Store every item of an export whose id is not there yet, so that a run that was cut off is simply run again.

    Vectors are stored as they are, where their contract is the server's; with `reembed` they are left behind and the
    server encodes anew. Raises BadExport for another contract, or a file that is no export.
    """
    file = open_export(path)
    fingerprint = None if reembed else _require_contract(file, client.model())
    report = ImportReport()
    for batch in file.iter_batches(batch_size=ROWS):
        rows: list[Row] = batch.to_pylist()
        existing = set(client.lookup([row["id"] for row in rows]).existing)
        fresh = [row for row in rows if row["id"] not in existing]
        report.skipped += len(existing)
        advance(len(existing))
        for group in _groups(fresh):
            _store(client, group, fingerprint, report)
            advance(len(group))
    return report


def schema_of(model: ModelAnswer, media: bool) -> Any:
    """The Arrow schema of an export from this server, with the vector contract in its metadata."""
    contract = VectorContract(**model.contract)  # type: ignore[arg-type]
    labels = {
        "crossray.version": FORMAT_VERSION,
        "crossray.contract": contract.to_json(),
        "crossray.fingerprint": model.fingerprint,
        "crossray.media": json.dumps(media),
    }
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("tags", pa.list_(pa.string()), nullable=False),
        pa.field("metadata", pa.string(), nullable=False),
        pa.field("created_at", pa.float64(), nullable=False),
        pa.field("ocr_text", pa.string()),
        pa.field("vector", pa.list_(pa.float32(), contract.dim), nullable=False),
        pa.field("image", pa.binary()),
    ]
    return pa.schema(fields, metadata=labels)


def _require_same_space(page: ItemPage, model: ModelAnswer) -> None:
    if page.fingerprint != model.fingerprint:
        raise ClusterError(f"the collection went from {model.fingerprint} to {page.fingerprint}: export it again")


def _row(client: Client, item: ItemAnswer, media: bool) -> Row | None:
    """None for an item that was deleted since it was listed."""
    try:
        image = client.image(item.id).content if media and item.image_url is not None else None
    except ApiError as error:
        if error.status != 404 or client.lookup([item.id]).existing:
            raise
        return None
    if image is not None and media_address(image) != item.media:
        raise ClusterError(f"the image of {item.id!r} is not what was stored: it does not have the sha256 {item.media}")
    return {
        "id": item.id,
        "kind": item.kind,
        "text": item.text,
        "source": item.source,
        "tags": item.tags,
        "metadata": json.dumps(item.metadata, ensure_ascii=False, sort_keys=True),
        "created_at": item.created_at,
        "ocr_text": item.ocr_text,
        "vector": item.vector,
        "image": image,
    }


def open_export(path: Path) -> Any:
    """The Parquet file of an export. Raises BadExport."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadExport(f"{path} is not a Parquet file that can be read: {error}") from error
    labels = _labels(file)
    if labels.get("crossray.version") != FORMAT_VERSION:
        found = labels.get("crossray.version", "none")
        raise BadExport(f"{path} is not a Crossray export of format {FORMAT_VERSION} (found {found})")
    return file


def _labels(file: Any) -> Mapping[str, str]:
    return {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}


def _require_contract(file: Any, model: ModelAnswer) -> str:
    """The fingerprint that both sides share."""
    labels = _labels(file)
    if labels["crossray.fingerprint"] == model.fingerprint:
        return model.fingerprint
    try:
        VectorContract(**model.contract).require(VectorContract.from_json(labels["crossray.contract"]))  # type: ignore[arg-type]
        reason = f"fingerprint {labels['crossray.fingerprint']}, the server's is {model.fingerprint}"
    except ContractMismatch as error:
        reason = str(error)
    raise BadExport(f"these vectors do not belong into the server's space: {reason}. Use --reembed to encode anew")


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Consecutive rows with at most MAX_BATCH_BYTES of images together, one row at the least."""
    group: list[Row] = []
    size = 0
    for row in rows:
        weight = len(row["image"] or b"")
        if group and size + weight > MAX_BATCH_BYTES:
            yield group
            group, size = [], 0
        group.append(row)
        size += weight
    if group:
        yield group


def _store(client: Client, rows: Sequence[Row], fingerprint: str | None, report: ImportReport) -> None:
    complete = [row for row in rows if _is_complete(row)]
    report.failed.extend(
        Failure(row["id"], "has no image bytes: the export was made with --no-media")
        for row in rows
        if not _is_complete(row)
    )
    if not complete:
        return
    results = client.store_batch([_item(row, fingerprint) for row in complete])
    for row, result in zip(complete, results, strict=True):
        if isinstance(result, ErrorAnswer):
            report.failed.append(Failure(row["id"], result.error.message))
        elif result.created:
            report.imported += 1
        else:
            report.skipped += 1


def _is_complete(row: Row) -> bool:
    """Whether all is there that its vector was made of: a text alone is not what an image with a text was."""
    return "image" not in row["kind"] or row["image"] is not None


def _item(row: Row, fingerprint: str | None) -> dict[str, Any]:
    """The row as `POST /v1/items` takes it."""
    item: dict[str, Any] = {
        "id": row["id"],
        "source": row["source"],
        "tags": row["tags"],
        "metadata": json.loads(row["metadata"]),
        "created_at": row["created_at"],
    }
    if row["text"] is not None:
        item["text"] = row["text"]
    if row["image"] is not None:
        item["image"] = base64.b64encode(row["image"]).decode("ascii")
    if row.get("ocr_text") is not None:  # a column that older exports lack
        item["ocr_text"] = row["ocr_text"]
    if fingerprint is not None:
        item |= {"vector": row["vector"], "fingerprint": fingerprint}
    return item
