"""A disk that fills up: 507, nothing half-written, searches go on, and room makes it well again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.system.clusters import Cluster, started

MIB = 1 << 20
DISK_MIB = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "data"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets nobody mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def noise(number: int) -> bytes:
    """About 1 MiB that is a picture: an uncompressed BMP."""
    pixels = Random(number).randbytes(600 * 600 * 3)
    header = b"BM" + (54 + len(pixels)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    size = (600).to_bytes(4, "little")
    return header + (40).to_bytes(4, "little") + size + size + b"\x01\0\x18\0" + bytes(24) + pixels


@pytest.mark.root
def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    ballast = small_disk / "ballast"
    with started(Cluster(tmp_path)) as cluster, cluster.http() as http:
        ballast.write_bytes(bytes(8 * MIB))
        kept: list[str] = []
        refused: httpx.Response | None = None
        for number in range(DISK_MIB * 2):
            answer = http.post("/v1/items", files={"image": noise(number)})
            if answer.status_code != 201:
                refused = answer
                break
            kept.append(answer.json()["id"])
        assert refused is not None
        assert refused.status_code == 507, refused.text
        assert refused.json()["error"]["code"] == "storage_full"
        assert len(kept) >= 5
        fill_up(http, kept)

        assert http.get("/health/live").status_code == 200
        found = http.post("/v1/search", json={"id": kept[0], "top_k": 100}).json()["hits"]
        assert {hit["id"] for hit in found} >= set(kept[1:])
        assert_whole(cluster, http, kept)

        ballast.unlink()
        answer = http.post("/v1/items", files={"image": noise(10_000)})
        assert answer.status_code == 201, answer.text
        assert_whole(cluster, http, [*kept, answer.json()["id"]])


def fill_up(http: httpx.Client, kept: list[str]) -> None:
    """Texts fill what images left; each is stored whole or refused with 507."""
    for number in range(3000):
        batch = [{"text": f"{number} {part} " + "x" * 8000} for part in range(16)]
        answer = http.post("/v1/items", json={"items": batch})
        assert answer.status_code in (200, 507), answer.text
        results = answer.json().get("results", [])
        kept += [result["id"] for result in results if "id" in result]
        codes = {result["error"]["code"] for result in results if "error" in result}
        assert codes <= {"storage_full"}
        if codes or answer.status_code == 507:
            return
    raise AssertionError("the disk never filled up")


def assert_whole(cluster: Cluster, http: httpx.Client, kept: list[str]) -> None:
    """Every acknowledged item is there with its image, and no file is without an item."""
    page = http.get("/v1/items", params={"limit": 1000}).json()
    assert {item["id"] for item in page["items"]} == set(kept)
    for item in page["items"]:
        if item["media"] is not None:
            assert http.get(item["image_url"]).status_code == 200
    named = {item["media"] for item in page["items"] if item["media"] is not None}
    assert set(cluster.media_files()) == named, "a file that no item names"
