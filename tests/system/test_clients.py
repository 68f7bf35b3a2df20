"""The clients against a real cluster: what the README tells a reader to type, the openai package, and the Python
client while the ingress is killed."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from crossray_client import PATIENT, Client, NewItem, NotFound
from crossray_client.langchain import CrossrayEmbeddings, CrossrayRetriever
from tests.readme import ROOT, curls, run_curl
from tests.system.clusters import START_S, Cluster, wait_until


def photo(red: int, green: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (red, green, 90)).save(out, "PNG")
    return out.getvalue()


def test_every_documented_curl(cluster: Cluster, tmp_path: Path) -> None:
    """But for rerank's, which the shared cluster does not have."""
    for name in ("cat.jpg", "query.jpg"):
        (tmp_path / name).write_bytes(photo(1, 1))
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.png", photo(1, 1))
    commands = [*curls(ROOT / "README.md"), *curls(ROOT / "docs/api.md")]
    versions: dict[str, str] = {}
    with Client(cluster.url, trust_env=False) as client:
        for command in commands:
            if "/v1/rerank" in command:
                continue
            for name, number in versions.items():
                command = command.replace(f"/versions/{name}", f"/versions/{number}")
            if command.endswith('/reindex -d \'{"index_type": "hnsw"}\''):
                versions["OLD"] = str(client.collection("holidays").live)
            answer = run_curl(command, cluster.url.removeprefix("http://"), tmp_path)
            if "/reindex" in command or "/promote" in command:
                begun = json.loads(answer)["id"]
                versions.setdefault("NEW", str(begun))
                assert client.wait_for_version("holidays", begun, every_s=0.1).state == "live"
    assert len(commands) > 40
    assert set(versions) == {"OLD", "NEW"}


def test_the_openai_package(cluster: Cluster, http: httpx.Client) -> None:
    plain = http.post("/v1/embeddings", json={"input": "a cat"}).json()["data"][0]["embedding"]
    with openai.OpenAI(base_url=f"{cluster.url}/v1", api_key="none") as client:
        for options in ({}, {"encoding_format": "float"}):
            embedded = client.embeddings.create(model="fake", input="a cat", **options).data[0].embedding
            assert np.array_equal(np.array(embedded, np.float32), np.array(plain, np.float32))


def test_langchain(cluster: Cluster) -> None:
    with Client(cluster.url, trust_env=False) as client:
        id = client.store(NewItem(text="a lighthouse at dusk", metadata={"year": 2024})).id
        query = CrossrayEmbeddings(client).embed_query("a lighthouse at dusk")
        assert query == client.embed("a lighthouse at dusk", input_type="query").vectors()[0]
        (found,) = CrossrayRetriever(client=client, options={"top_k": 1}).invoke("a lighthouse at dusk")
        assert (found.id, found.page_content, found.metadata["year"]) == (id, "a lighthouse at dusk", 2024)


def test_collections_by_the_client(cluster: Cluster) -> None:
    """Made, written to, built anew, and deleted."""
    with Client(cluster.url, trust_env=False) as client:
        made = client.create_collection("albums", index_type="flat")
        assert [(version.state, version.count) for version in made.versions] == [("live", 0)]
        stored = client.store_batch([NewItem(text=f"album {n}") for n in range(12)], collection="albums").results
        job = client.upload_job([photo(7, 7)], collection="albums")
        assert (job.collection, client.wait_for_job(job.id, every_s=0.1).counts["done"]) == ("albums", 1)
        (photographed,) = client.job_items(job.id).items
        ids = {item.id for item in client.items(collection="albums")}
        assert ids == {photographed.item_id, *(one.id for one in stored)}
        begun = client.reindex("albums", index_type="ivf-flat", min_recall=0.0)
        seen: list[int] = []
        built = client.wait_for_version("albums", begun.id, every_s=0.1, on_progress=lambda one: seen.append(one.id))
        assert (built.state, built.index, set(seen)) == ("live", {"type": "ivf-flat"}, {begun.id})
        assert client.search("album 3", collection="albums", top_k=1).hits[0].text == "album 3"
        assert client.collection("albums").live == begun.id
        assert client.drop_version("albums", made.live).deleted
        assert client.delete_collection("albums").deleted
        with pytest.raises(NotFound):
            client.collection("albums")
        with pytest.raises(NotFound):
            client.wait_for_version("default", 1 << 40)


def test_uploads_outlive_the_ingress(cluster: Cluster) -> None:
    """Every upload returns, though connections break and nothing listens for a while; each item is there once."""
    victim = cluster.replica("Ingress")
    assert victim is not None
    with Client(cluster.url, retry=PATIENT, trust_env=False) as client, ThreadPoolExecutor(6) as pool:

        def upload(n: int) -> str:
            return client.store(NewItem(image=photo(n % 250, 10 + n // 250), tags=["restart"])).id

        uploads = [pool.submit(upload, n) for n in range(400)]
        wait_until(lambda: sum(one.done() for one in uploads) >= 50, "uploads before the kill")
        victim.kill()
        assert not all(one.done() for one in uploads), "nothing was under way"
        ids = {one.result(START_S) for one in uploads}
        assert len(ids) == 400
        stored = [item.id for item in client.items(limit=200) if "restart" in item.tags]
        assert sorted(stored) == sorted(ids)
        assert cluster.replica("Ingress") not in (None, victim)
