"""The clients against a real cluster: what the README tells a reader to type, the openai package, and the Python
client while the ingress is killed."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import openai
from PIL import Image

from crossray_client import PATIENT, Client, NewItem
from tests.readme import ROOT, curls, run_curl
from tests.system.clusters import Cluster, wait_until


def photo(red: int, green: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (red, green, 90)).save(out, "PNG")
    return out.getvalue()


def test_every_curl_of_the_readme(cluster: Cluster, tmp_path: Path) -> None:
    """But for rerank's, which the shared cluster does not have."""
    for name in ("cat.jpg", "query.jpg"):
        (tmp_path / name).write_bytes(photo(1, 1))
    commands = [command for command in curls(ROOT / "README.md") if "/v1/rerank" not in command]
    for command in commands:
        run_curl(command, cluster.url.removeprefix("http://"), tmp_path)
    assert len(commands) > 10


def test_the_openai_package(cluster: Cluster, http: httpx.Client) -> None:
    plain = http.post("/v1/embeddings", json={"input": "a cat"}).json()["data"][0]["embedding"]
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key="none") as client:
        for options in ({}, {"encoding_format": "float"}):
            embedded = client.embeddings.create(model="fake", input="a cat", **options).data[0].embedding
            assert np.array_equal(np.array(embedded, np.float32), np.array(plain, np.float32))


def test_uploads_outlive_the_ingress(cluster: Cluster) -> None:
    """Every upload returns, though connections break and nothing listens for a while; each item is there once."""
    victim = cluster.replica("Ingress")
    assert victim is not None
    with Client(cluster.url, retry=PATIENT, trust_env=False) as client, ThreadPoolExecutor(6) as pool:

        def upload(n: int) -> str:
            return client.store(NewItem(image=photo(n % 250, 10 + n // 250), tags=["restart"])).id

        uploads = [pool.submit(upload, n) for n in range(400)]
        wait_until(lambda: sum(one.done() for one in uploads) >= 50, 60, "uploads before the kill")
        victim.kill()
        assert not all(one.done() for one in uploads), "nothing was under way"
        ids = {one.result(180) for one in uploads}
        assert len(ids) == 400
        stored = [item.id for item in client.items(limit=200) if "restart" in item.tags]
        assert sorted(stored) == sorted(ids)
        assert cluster.replica("Ingress") not in (None, victim)
