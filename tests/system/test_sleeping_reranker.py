"""A reranker with no replica, in a real cluster: what a search is told meanwhile, and that it wakes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.clusters import Cluster, wait_until

TEXTS = ("a cat on a sofa", "two dogs run on the beach", "沙发上的猫")


def test_a_sleeping_reranker_wakes(drowsy_cluster: Cluster) -> None:
    """The fake encoder with the tiny reranker, which has no replica until it is asked for."""
    cluster = drowsy_cluster
    with cluster.http() as http:
        items: list[dict[str, Any]] = [{"id": f"text-{n}", "text": text} for n, text in enumerate(TEXTS)]
        assert http.post("/v1/collections", json={"name": "rerank", "index_type": "flat"}).status_code == 201
        assert http.post("/v1/items", json={"items": items, "collection": "rerank"}).status_code == 200
        assert cluster.replica("Reranker") is None
        body = {"text": "a cat on a beach", "top_k": 3, "collection": "rerank"}
        dense = http.post("/v1/search", json=body).json()
        hasty = body | {"rerank": {"deadline_ms": 50, "margin": None}}
        asleep = http.post("/v1/search", json=hasty).json()
        assert asleep["stages"][1]["did"] == "skipped", asleep["stages"]
        assert "waking up" in asleep["stages"][1]["reason"]
        assert [hit["id"] for hit in asleep["hits"]] == [hit["id"] for hit in dense["hits"]]
        wait_until(lambda: cluster.replica("Reranker") is not None, "the search that could not wait woke it")

        patient = body | {"rerank": {"deadline_ms": 60_000, "margin": None}}
        reranked = http.post("/v1/search", json=patient, timeout=120).json()
        assert reranked["stages"][1]["did"] == "reranked", reranked["stages"]
        answer = http.post("/v1/rerank", json={"query": body["text"], "documents": list(TEXTS)}).json()
        assert answer["model"] == "qwen3-vl-reranker"
        direct = {f"text-{row['index']}": row["relevance_score"] for row in answer["results"]}
        assert {hit["id"]: hit["rerank_score"] for hit in reranked["hits"]} == pytest.approx(direct, abs=1e-5)
