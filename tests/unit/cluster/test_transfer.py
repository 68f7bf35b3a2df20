"""Export and import over a real server: what goes out comes back the same, and no vector lands in another space."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cluster import transfer
from cluster.client import Client, Media
from cluster.errors import ApiError, BadExport, ServerUnreachable
from cluster.indexing.ledger import Work
from cluster.indexing.rows import Row
from cluster.indexing.upload import Indexer
from cluster.transfer import count_rows, export_items, import_items
from encoders.contract import VectorContract
from encoders.fake import FakeEncoder

TEXTS = 70
ITEMS = TEXTS + 3


@pytest.fixture
def filled(client: Client, tmp_path: Path) -> Client:
    """A server with texts and photos."""
    sources = [
        Row(f"n{n}", text=f"text number {n}", metadata={"n": n, "half": n / 2, "even": n % 2 == 0})
        for n in range(TEXTS)
    ]
    for colour in ("red", "green", "blue"):
        path = tmp_path / f"{colour}.png"
        Image.new("RGB", (16, 16), colour).save(path)
        sources.append(Row(path.name, image=path.read_bytes(), tags=("photo", "色")))
    assert not Indexer(client).run(map(Work, sources)).failed
    return client


@pytest.fixture
def empty(serve: Callable[..., Any], tmp_path: Path) -> Iterator[Client]:
    """Another server, with the same encoder and nothing in it."""
    with serve(FakeEncoder(), tmp_path / "other") as url, Client(url) as other:
        yield other


def items(client: Client) -> list[dict[str, object]]:
    return [item.model_dump() for page in client.pages(limit=50, vectors=True) for item in page.items]


def test_a_collection_survives_the_round_trip(filled: Client, empty: Client, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    seen: list[int] = []
    assert export_items(filled, file, advance=seen.append) == ITEMS
    assert (sum(seen), count_rows(file)) == (ITEMS, ITEMS)
    report = import_items(empty, file)
    assert (report.imported, report.skipped, report.failed) == (ITEMS, 0, [])
    before, after = items(filled), items(empty)
    assert after == before
    red = next(item for item in items(empty) if item["source"] == "red.png")
    assert empty.image(str(red["id"])).content == (tmp_path / "red.png").read_bytes()
    assert empty.search({"text": "red", "target": "image"}).hits[0].source == "red.png"


@pytest.mark.parametrize("reembed", [False, True])
def test_what_was_read_off_images_comes_back(client: Client, empty: Client, tmp_path: Path, reembed: bool) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(picture, "PNG")
    for item_id, text in (("page", "STOP 停"), ("blank", "")):
        client.store({"id": item_id, "ocr_text": text}, picture.getvalue())
    client.store({"id": "unread"}, picture.getvalue())
    export_items(client, tmp_path / "all.parquet")
    import_items(empty, tmp_path / "all.parquet", reembed=reembed)
    assert {item["id"]: item["ocr_text"] for item in items(empty)} == {"page": "STOP 停", "blank": "", "unread": None}


def test_an_export_from_before_images_were_read_still_comes_in(filled: Client, empty: Client, tmp_path: Path) -> None:
    export_items(filled, tmp_path / "all.parquet")
    old = pq.read_table(tmp_path / "all.parquet").drop_columns(["ocr_text"])
    pq.write_table(old, tmp_path / "old.parquet")
    assert import_items(empty, tmp_path / "old.parquet").imported == ITEMS


def test_the_file_says_what_its_vectors_are(filled: Client, tmp_path: Path) -> None:
    export_items(filled, tmp_path / "all.parquet")
    schema = pq.read_schema(tmp_path / "all.parquet")
    contract = VectorContract.from_json(schema.metadata[b"crossray.contract"].decode())
    assert contract == FakeEncoder().info.contract
    assert schema.metadata[b"crossray.fingerprint"].decode() == contract.fingerprint
    assert schema.field("vector").type == pa.list_(pa.float32(), contract.dim)
    row = pq.read_table(tmp_path / "all.parquet").to_pylist()[0]
    assert set(json.loads(row["metadata"])) <= {"n", "half", "even"}


def test_a_row_group_holds_few_rows(filled: Client, tmp_path: Path) -> None:
    export_items(filled, tmp_path / "all.parquet")
    metadata = pq.read_metadata(tmp_path / "all.parquet")
    assert max(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)) <= transfer.ROWS


def test_an_import_goes_on_where_one_was_cut_off(
    filled: Client, empty: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "all.parquet"
    export_items(filled, file)
    store, calls = empty.store_batch, iter(range(10))

    def break_off(batch: list[dict[str, object]]) -> object:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return store(batch)

    monkeypatch.setattr(empty, "store_batch", break_off)
    with pytest.raises(KeyboardInterrupt):
        import_items(empty, file)
    assert empty.health().count == transfer.ROWS or len(items(empty)) == transfer.ROWS
    report = import_items(empty, file)
    assert (report.imported, report.skipped) == (ITEMS - transfer.ROWS, transfer.ROWS)


def test_big_photos_go_in_small_requests(
    filled: Client, empty: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_items(filled, tmp_path / "all.parquet")
    monkeypatch.setattr(transfer, "MAX_BATCH_BYTES", 1)
    assert import_items(empty, tmp_path / "all.parquet").imported == ITEMS


def test_vectors_of_another_space_are_refused_and_can_be_made_anew(
    filled: Client, serve: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "all.parquet"
    export_items(filled, file)
    with serve(FakeEncoder(dim=32), tmp_path / "narrow") as url, Client(url) as narrow:
        with pytest.raises(BadExport, match=r"dim: expected 32, found 64.*--reembed"):
            import_items(narrow, file)
        assert import_items(narrow, file, reembed=True).imported == ITEMS
        assert len(items(narrow)[0]["vector"]) == 32  # type: ignore[arg-type]


def test_without_media_texts_come_back_and_photos_say_why_not(filled: Client, empty: Client, tmp_path: Path) -> None:
    export_items(filled, tmp_path / "lean.parquet", media=False)
    report = import_items(empty, tmp_path / "lean.parquet")
    assert report.imported == TEXTS
    assert len(report.failed) == 3
    assert "--no-media" in report.failed[0].reason


def test_without_media_a_photo_with_a_text_does_not_come_back_as_a_text(
    client: Client, empty: Client, tmp_path: Path
) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    client.store({"id": "both", "text": "a red square"}, (tmp_path / "red.png").read_bytes())
    export_items(client, tmp_path / "lean.parquet", media=False)
    report = import_items(empty, tmp_path / "lean.parquet")
    assert (report.imported, [failure.source for failure in report.failed]) == (0, ["both"])
    assert "--no-media" in report.failed[0].reason
    assert items(empty) == []


def test_an_empty_collection_is_a_file_too(empty: Client, tmp_path: Path) -> None:
    assert export_items(empty, tmp_path / "none.parquet") == 0
    assert import_items(empty, tmp_path / "none.parquet").imported == 0


def test_what_is_no_export_is_refused(empty: Client, tmp_path: Path) -> None:
    text, other = tmp_path / "a.parquet", tmp_path / "b.parquet"
    text.write_text("hello", encoding="utf-8")
    pq.write_table(pa.table({"id": ["a"]}), other)
    with pytest.raises(BadExport, match="not a Parquet file"):
        import_items(empty, text)
    with pytest.raises(BadExport, match="not a Crossray export"):
        import_items(empty, other)


def test_an_item_deleted_meanwhile_is_left_out(filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = filled.image

    def delete_and_fetch(item_id: str) -> Media:
        httpx.delete(f"{filled.url}/v1/items/{item_id}", trust_env=False).raise_for_status()
        return fetch(item_id)

    monkeypatch.setattr(filled, "image", delete_and_fetch)
    assert export_items(filled, tmp_path / "all.parquet") == TEXTS
    assert count_rows(tmp_path / "all.parquet") == TEXTS


def test_a_lost_image_of_an_item_that_is_there_ends_the_export(filled: Client, tmp_path: Path) -> None:
    lost = next(item for item in items(filled) if item["source"] == "red.png")
    files = [path for path in (tmp_path / "server" / "media").rglob("*") if path.name.startswith(str(lost["media"]))]
    assert files
    for path in files:
        path.unlink()
    with pytest.raises(ApiError, match="no_image"):
        export_items(filled, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_an_export_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServerUnreachable):
        export_items(nobody, tmp_path / "all.parquet")
    assert list(tmp_path.iterdir()) == []
