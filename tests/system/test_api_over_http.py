"""The API of a real cluster: the main job, bad inputs, large bodies, errors of replicas."""

from __future__ import annotations

import base64
import io
import json
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from loadtests.load import json_request
from tests.bad_inputs.case import BadInput, check_refusal, with_fingerprint
from tests.bad_inputs.table import bad_inputs
from tests.system.clusters import Cluster, wait_until


def photo(colour: str, kind: str = "JPEG", side: int = 64) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(out, kind)
    return out.getvalue()


def test_the_main_job(http: httpx.Client) -> None:
    """Photos by words, photos by photo, texts by photo, each in both languages."""
    images = {colour: photo(colour) for colour in ("red", "green", "blue")}
    ids = {}
    for colour, data in images.items():
        answer = http.post(
            "/v1/items", files={"image": data}, data={"tags": ["main"], "metadata": f'{{"c": "{colour}"}}'}
        )
        assert answer.status_code == 201, answer.text
        ids[colour] = answer.json()["id"]
    http.post(
        "/v1/items", json={"items": [{"id": f"say-{c}", "text": f"a {c} field", "tags": ["main"]} for c in images]}
    )
    mine = {"filter": {"field": "tags", "op": "any_of", "value": ["main"]}}

    def best(**query: object) -> str:
        answer = http.post("/v1/search", json={**query, **mine})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["hits"][0]["id"])

    assert best(text="green", target="image") == ids["green"]
    assert best(text="蓝", target="image") == ids["blue"]
    assert best(image=base64.b64encode(images["red"]).decode(), target="text") == "say-red"
    assert best(id=ids["red"]) == "say-red"
    assert http.get(f"/v1/items/{ids['red']}/image").content == images["red"]
    assert http.get(f"/v1/items/{ids['red']}/thumbnail").headers["content-type"] == "image/webp"
    embedded = http.post("/v1/embeddings", json={"input": ["a", " "]}).json()["data"]
    assert [datum["embedding"] is None for datum in embedded] == [False, True]
    assert http.post("/v1/items", files={"image": images["red"]}).json()["created"] is False
    assert http.delete(f"/v1/items/{ids['blue']}").status_code == 200
    assert best(text="blue", target="image") != ids["blue"]


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


@pytest.mark.parametrize("case", bad_inputs(), ids=lambda case: case.name)
def test_a_bad_input_is_refused_and_leaves_nothing(cluster: Cluster, http: httpx.Client, case: BadInput) -> None:
    page = http.get("/v1/items", params={"limit": 1}).json()
    count, files = page["count"], cluster.media_files()
    body = with_fingerprint(case, page["fingerprint"])
    answer = http.request(case.method, case.path, content=chunks(body) if case.chunked else body, headers=case.headers)
    check_refusal(case, page["fingerprint"], answer.status_code, answer.json())
    assert http.get("/v1/items", params={"limit": 1}).json()["count"] == count
    assert cluster.media_files() == files
    assert http.post("/v1/search", json={"text": "a good one"}).status_code == 200


def test_a_large_image_passes_between_replicas(http: httpx.Client) -> None:
    """15 MB: gRPC's own limit for a message is 4 MiB."""
    data = photo("purple", "BMP", side=2240)
    assert 15e6 < len(data) < 16e6
    answer = http.post("/v1/items", files={"image": data})
    assert answer.status_code == 201, answer.text
    assert http.get(f"/v1/items/{answer.json()['id']}/image").content == data
    assert http.delete(f"/v1/items/{answer.json()['id']}").status_code == 200


def test_large_answers_pass_between_replicas(http: httpx.Client) -> None:
    """Every hit of concurrent searches comes back in one message of the retriever's."""
    text = "长" * 8000
    items = [{"id": f"long-{n}", "text": f"{n} {text}", "tags": ["long"]} for n in range(256)]
    stored = http.post("/v1/items", json={"items": items})
    assert stored.status_code == 200, "bulk work of any size waits for its turn, however short the queues are"
    assert all("id" in result for result in stored.json()["results"])
    query = {"text": "长", "top_k": 256, "filter": {"field": "tags", "op": "any_of", "value": ["long"]}}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: http.post("/v1/search", json=query), range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert {len(answer.json()["hits"]) for answer in answers} == {256}
    for item in items:
        http.delete(f"/v1/items/{item['id']}")


def test_a_full_queue_of_a_replica_is_a_429(http: httpx.Client) -> None:
    """The encoder's lane holds 32 items; what its replica raises keeps its class on the way."""

    def embed(n: int) -> httpx.Response:
        return http.post("/v1/embeddings", json={"input": [f"{n} {k}" for k in range(8)]})

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(embed, range(72)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused, "nothing was refused: the queue was never full"
    assert {answer.status_code for answer in refused} == {429}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    for answer in refused:
        error = answer.json()["error"]
        assert error["code"] == "overloaded"
        assert len(error["message"]) < 200, "a stack trace is not a message"
    assert http.post("/v1/search", json={"text": "afterwards"}).status_code == 200


def test_a_client_that_goes_away_leaves_the_server_well(cluster: Cluster, http: httpx.Client) -> None:
    for left in range(20):
        asked = json_request("/v1/embeddings", {"input": [f"{left} of 20, {n} of 30" for n in range(30)]})
        with socket.create_connection((cluster.host, cluster.port)) as connection:
            connection.sendall(asked)

    def is_well() -> bool:
        return http.post("/v1/search", json={"text": "still here"}).status_code == 200

    wait_until(is_well, "a search is answered")


def test_one_id_finds_a_request_in_every_process(cluster: Cluster, http: httpx.Client) -> None:
    found = http.post("/v1/search", json={"text": "traced"}, headers={"X-Request-ID": "find-me-1"})
    assert found.headers.get_list("x-request-id") == ["find-me-1"]

    def lines() -> dict[str, dict[str, Any]]:
        files = (cluster.data_dir / "logs").glob("replica_*.log")
        texts = [line for file in files for line in file.read_text().splitlines() if "find-me-1" in line]
        found = [line for line in map(json.loads, texts) if line["message"] != "sample"]
        return {line["deployment"]: line for line in found}

    wait_until(lambda: len(lines()) == 3, "a line in the log of each")
    ingress, encoder, retriever = (lines()[name] for name in ("Ingress", "Encoder", "Retriever"))
    assert (ingress["request_id"], ingress["operation"], ingress["status"]) == ("find-me-1", "search", 200)
    assert (encoder["message"], retriever["message"]) == ("encode", "search")
    assert "find-me-1" in encoder["request_ids"]
    assert "find-me-1" in retriever["request_ids"]


def test_an_id_that_is_no_id_is_replaced(http: httpx.Client) -> None:
    refused = http.post("/v1/search", json={"text": 3}, headers={"X-Request-ID": "two words; {$x}"})
    own = refused.json()["request_id"]
    assert uuid.UUID(own)
    assert refused.headers.get_list("x-request-id")[0] == own
