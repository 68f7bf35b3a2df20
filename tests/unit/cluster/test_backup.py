"""Backup and restore: what comes back is what was there, or the command says what is not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cluster import backup
from cluster.backup import MANIFEST, back_up, check_backup, differing_items, restore
from cluster.client import Client
from cluster.errors import BadBackup, BadExport, ClusterError
from cluster.transfer import export_items, import_items
from encoders.fake import FakeEncoder

TEXTS = 130


def drawn(seed: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def fill(client: Client) -> None:
    """Items of every kind, in several pages."""
    texts = [
        {"text": f"text number {n} 文字", "metadata": {"n": n, "half": n / 2, "even": n % 2 == 0}} for n in range(TEXTS)
    ]
    client.store_batch(texts[: TEXTS // 2])
    client.store_batch(texts[TEXTS // 2 :])
    for n in range(4):
        item = {"id": f"photo-{n}-图", "tags": ["photo", "色"], "source": f"{n}.png", "created_at": 1e9 / 3 + n}
        client.store(item | ({"ocr_text": f"STOP {n}"} if n % 2 else {}), drawn(n))
    client.store({"id": "both", "text": "noise"}, drawn(9))
    client.store({"id": "unread", "ocr_text": ""}, drawn(9))


def content(client: Client) -> list[dict[str, Any]]:
    """All that there is, with vectors as bits and images as bytes."""
    items = [item.model_dump() for page in client.pages(limit=50, vectors=True) for item in page.items]
    for item in items:
        item["vector"] = np.asarray(item["vector"], dtype=np.float32).tobytes()
        item["image"] = client.image(item["id"]).content if item["image_url"] else None
    return items


@pytest.fixture
def filled(client: Client) -> Client:
    fill(client)
    return client


@pytest.fixture
def empty(serve: Callable[..., Any], tmp_path: Path) -> Iterator[Client]:
    with serve(FakeEncoder(), tmp_path / "other", backend="embedded") as url, Client(url) as other:
        yield other


def test_what_is_restored_is_what_was_backed_up(filled: Client, empty: Client, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    seen: list[int] = []
    manifest = back_up(filled, folder, advance=seen.append)
    assert manifest == check_backup(folder)
    assert manifest.items == sum(seen) == TEXTS + 6
    report = restore(empty, folder, manifest)
    assert (report.imported, report.skipped, report.failed) == (TEXTS + 6, 0, [])
    assert content(empty) == content(filled)
    assert list(differing_items(empty, folder, manifest)) == []
    assert restore(empty, folder, manifest).skipped == TEXTS + 6


@pytest.mark.parametrize("there", ["milvus-lite", "milvus-server"])
def test_from_embedded_to_milvus_and_back_nothing_changes(
    there: str, serve: Callable[..., Any], empty: Client, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Truth 8: by export and import, and by backup and restore."""
    uri = request.getfixturevalue("milvus_server").uri if there == "milvus-server" else None
    fill(empty)
    before = content(empty)
    export_items(empty, tmp_path / "out.parquet")
    with serve(FakeEncoder(), tmp_path / "far", backend="milvus", uri=uri) as url, Client(url) as milvus:
        assert import_items(milvus, tmp_path / "out.parquet").imported == len(before)
        assert content(milvus) == before
        export_items(milvus, tmp_path / "back.parquet")
        manifest = back_up(milvus, tmp_path / "backup")
    with serve(FakeEncoder(), tmp_path / "third", backend="embedded") as url, Client(url) as third:
        assert import_items(third, tmp_path / "back.parquet").imported == len(before)
        assert content(third) == before
        assert list(differing_items(third, tmp_path / "backup", manifest)) == []


def test_what_differs_is_found(filled: Client, empty: Client, tmp_path: Path) -> None:
    manifest = back_up(filled, tmp_path / "backup")
    empty.store({"id": "photo-1-图", "source": "another"}, drawn(77))
    assert restore(empty, tmp_path / "backup", manifest).skipped == 1
    empty._client.delete("both")
    assert set(differing_items(empty, tmp_path / "backup", manifest)) == {"photo-1-图", "both"}


def test_a_backup_goes_on_where_one_was_cut_off(
    filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "FILE_BYTES", 1)
    folder, whole = tmp_path / "backup", backup._described
    done = iter(range(10))

    def cut_off(path: Path) -> backup.BackupFile:
        if next(done) == 1:
            raise KeyboardInterrupt
        return whole(path)

    monkeypatch.setattr(backup, "_described", cut_off)
    with pytest.raises(KeyboardInterrupt):
        back_up(filled, folder)
    monkeypatch.setattr(backup, "_described", whole)
    with pytest.raises(BadBackup, match="cut off"):
        check_backup(folder)
    first = (folder / "items-00000.parquet").stat()
    manifest = back_up(filled, folder)
    assert (folder / "items-00000.parquet").stat() == first
    assert (manifest.items, len(manifest.files)) == (TEXTS + 6, 3)
    assert list(differing_items(filled, folder, manifest)) == []


@pytest.mark.parametrize("fault", ["bit", "short", "gone", "manifest", "elsewhere"])
def test_a_damaged_backup_is_refused_and_nothing_stored(fault: str, filled: Client, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    back_up(filled, folder)
    file, manifest = folder / "items-00000.parquet", folder / MANIFEST
    data = bytearray(file.read_bytes())
    if fault == "bit":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif fault == "short":
        file.write_bytes(data[:-1])
    elif fault == "gone":
        file.unlink()
    elif fault == "manifest":
        manifest.write_text("{}", encoding="utf-8")
    else:
        value = json.loads(manifest.read_text(encoding="utf-8"))
        value["files"][0]["name"] = "../items.parquet"
        manifest.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(BadBackup, match="manifest" if fault == "manifest" else "items"):
        check_backup(folder)


def test_only_a_folder_for_it_is_written_into(filled: Client, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BadBackup, match="not empty"):
        back_up(filled, folder)
    (folder / "letter.txt").unlink()
    back_up(filled, folder)
    with pytest.raises(BadBackup, match="holds a backup already"):
        back_up(filled, folder)


def test_another_space_is_refused_by_its_fields(filled: Client, serve: Callable[..., Any], tmp_path: Path) -> None:
    manifest = back_up(filled, tmp_path / "backup")
    with serve(FakeEncoder(dim=32), tmp_path / "narrow") as url, Client(url) as narrow:
        with pytest.raises(BadExport, match="dim: expected 32, found 64"):
            restore(narrow, tmp_path / "backup", manifest)
        assert content(narrow) == []


def test_a_file_that_rotted_in_the_media_folder_is_not_backed_up_as_good(filled: Client, tmp_path: Path) -> None:
    item = next(item for item in content(filled) if item["id"] == "both")
    path = tmp_path / "server" / "media" / item["media"][:2] / item["media"]
    path.write_bytes(path.read_bytes() + b"rot")
    with pytest.raises(ClusterError, match="is not what was stored"):
        back_up(filled, tmp_path / "backup")
    assert not (tmp_path / "backup" / MANIFEST).exists()


def test_an_empty_collection_is_a_backup_too(empty: Client, tmp_path: Path) -> None:
    manifest = back_up(empty, tmp_path / "backup")
    assert (manifest.items, manifest.files) == (0, ())
    assert restore(empty, tmp_path / "backup", check_backup(tmp_path / "backup")).imported == 0
