"""`crossray index --via ray` in a real cluster: what arrives, what fails, what a second run and Ctrl-C leave."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
import uuid
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from deployments.content import content_id
from tests.system.clusters import START_S, Cluster, crossray, wait_until

BROKEN = {3, 40, 77}
RAY_DATA = ("ray::MapWorker", "ray::Read", "ray::_StatsActor", "ray::_AutoscalingCoordinatorActor")

SCOLDED = """
import time

from cluster.cli import main
from cluster.indexing.ledger import Ledger

settle = Ledger.settle

def scolded(ledger, key, outcome):
    settle(ledger, key, outcome)
    if ledger.report.total == 1:
        from ray._private import utils, worker  # not before the command has set Ray's variables
        utils.push_error_to_driver(worker.global_worker, "test", "a raylet is not amused")
        time.sleep(1)

Ledger.settle = scolded
main()
"""
"""The command itself, to which a raylet complains half-way."""

TELLING = """
import sys

from cluster.cli import main
from cluster.indexing.ledger import Ledger

settle = Ledger.settle

def telling(ledger, key, outcome):
    settle(ledger, key, outcome)
    if outcome is not None and ledger.report.total == 250:
        print("under way", file=sys.__stdout__, flush=True)

Ledger.settle = telling
main()
"""
"""The command itself, which says when a quarter is done. Whoever polled the server for that would come too late: on a
busy machine the rest may be stored before an answer is there."""


def index(cluster: Cluster, *arguments: str | Path) -> dict[str, Any]:
    done = crossray("index", *map(str, arguments), "--json", env=cluster.env)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def count(cluster: Cluster) -> int:
    with cluster.http() as http:
        stored: int = http.get("/v1/items", params={"limit": 1}).json()["count"]
    return stored


def picture(number: int) -> bytes:
    """A photo that no other test has stored."""
    out = io.BytesIO()
    image = Image.new("RGB", (16, 16), (number, 7, 77))
    image.save(out, "JPEG", comment=uuid.uuid4().bytes)
    data = out.getvalue()
    return data[: len(data) // 2] if number in BROKEN else data


def ray_data_processes(cluster: Cluster) -> list[str]:
    names = []
    for process in cluster.processes():
        try:
            names += process.cmdline()[:1]
        except psutil.Error:
            continue
    return [name for name in names if name.startswith(RAY_DATA)]


def test_an_archive_and_a_folder_through_ray_data(cluster: Cluster, tmp_path: Path) -> None:
    photos = {f"{number:03}": picture(number) for number in range(100)}
    (tmp_path / "folder").mkdir()
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for name, data in photos.items():
            if int(name) >= 50:
                (tmp_path / f"folder/{name}.jpg").write_bytes(data)
                continue
            info = tarfile.TarInfo(f"{name}.jpg")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    arguments = (tmp_path / "shard.tar", tmp_path / "folder", "--tag", "bulk", "--tag", "year=2024", "-c", "bulk")
    with cluster.http() as http:
        assert http.post("/v1/collections", json={"name": "bulk", "index_type": "flat"}).status_code == 201
    command = [sys.executable, "-c", SCOLDED, "index", *map(str, arguments), "--via", "ray", "--json"]
    done = subprocess.run(command, env=cluster.env, capture_output=True, text=True, timeout=START_S, check=False)
    assert "a raylet is not amused" in done.stderr
    report = json.loads(done.stdout)
    assert (report["indexed"], report["skipped"], len(report["failed"])) == (97, 0, 3)
    broken = {Path(failure["source"]).stem for failure in report["failed"]}
    assert broken == {f"{number:03}" for number in BROKEN}
    name = "060"
    with cluster.http() as http:
        assert http.get(f"/v1/items/{content_id(photos[name], None)}").status_code == 404, (
            "it is not in the default one"
        )
        item = http.get(f"/v1/items/{content_id(photos[name], None)}?collection=bulk").json()
        assert (item["tags"], item["metadata"]) == (["bulk"], {"year": 2024})
        assert item["source"] == str(tmp_path / "folder/060.jpg")
        assert http.get(item["image_url"]).content == photos[name]
    report = index(cluster, *arguments, "--via", "http")
    assert (report["indexed"], report["skipped"], len(report["failed"])) == (0, 97, 3)
    assert report["remembered"] == 49, "the archive has bad rows and is read again, the good files are not"
    with cluster.http() as http:
        assert http.delete("/v1/collections/bulk").status_code == 200
    wait_until(lambda: not ray_data_processes(cluster), "nothing of Ray Data is left in the cluster")


def test_ctrl_c_half_way_and_on_over_http(cluster: Cluster, tmp_path: Path) -> None:
    texts = [f"text {number} of {uuid.uuid4().hex} " + "long " * 1600 for number in range(1500)]
    table = tmp_path / "texts.jsonl"
    table.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    before = count(cluster)
    command = [sys.executable, "-c", TELLING, "index", str(table), "--via", "ray"]
    process = subprocess.Popen(command, env=cluster.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=START_S)
    assert first == "under way\n", told
    assert process.returncode == 130, told
    assert "run it again to go on" in told
    assert "Traceback" not in told
    wait_until(lambda: not ray_data_processes(cluster), "nothing of the run is left in the cluster")
    stored = count(cluster)
    report = index(cluster, table, "--via", "http")
    assert report["failed"] == []
    assert 0 < report["remembered"] <= stored - before
    assert report["remembered"] < len(texts), "it was stopped before its end"
    assert report["indexed"] + report["skipped"] == len(texts)
    assert count(cluster) == before + len(texts), "nothing was lost or doubled"
