"""`POST /v1/search` by vector, by words, and by both."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest

from retrieval import Hit, TextQuery
from retrieval.errors import Unsupported
from retrieval.memory import MemoryIndex
from tests.unit.deployments.conftest import Api, Picture, Start


async def search(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def fill(api: Api) -> None:
    for id, text in {
        "invoice": "Invoice 2024-117 from the harbour office",
        "door": "a red door",
        "boat": "two boats in the harbour at dusk",
        "海": "海边日落的照片",
    }.items():
        await api.add(id=id, text=text)


async def test_words_alone_encode_nothing(api: Api) -> None:
    await fill(api)
    before = len(api.encoder.forwards)  # type: ignore[attr-defined]
    content = await search(api, text="harbour invoice", mode="text")
    assert [hit["id"] for hit in content["hits"]] == ["invoice", "boat"], "and not what holds none of the words"
    assert len(api.encoder.forwards) == before  # type: ignore[attr-defined]
    first = content["hits"][0]
    assert (first["score"], first["ranks"]) == (None, {})
    assert first["text_score"] > content["hits"][1]["text_score"] > 0
    assert [(stage["name"], stage["depth"]) for stage in content["stages"]] == [("text", 2)]
    assert (await search(api, text="日落", mode="text"))["hits"][0]["id"] == "海"


async def test_hybrid_fuses_ranks_and_every_hit_has_its_cosine(api: Api) -> None:
    await fill(api)
    dense = await search(api, text="harbour invoice", top_k=4)
    content = await search(api, text="harbour invoice", mode="hybrid", top_k=4)
    cosines = {hit["id"]: hit["score"] for hit in dense["hits"]}
    places = {hit["id"]: place for place, hit in enumerate(dense["hits"], start=1)}
    assert {hit["id"]: hit["score"] for hit in content["hits"]} == cosines
    assert {hit["id"]: hit["ranks"]["dense"] for hit in content["hits"]} == places
    assert content["hits"][0]["id"] == "invoice"
    assert [hit["ranks"].get("text") for hit in content["hits"]].count(None) == 2
    assert [stage["name"] for stage in content["stages"]] == ["dense", "text"]
    assert {"search", "text", "total"} <= content["timings_ms"].keys()


async def test_what_only_words_find_gets_its_cosine_from_the_stored_vector(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.search.HYBRID_DEPTH", 1)
    asked = {"input": "office", "input_type": "query"}
    vector = (await api.http.post("/v1/embeddings", json=asked)).json()["data"][0]["embedding"]
    space = {"fingerprint": api.encoder.info.contract.fingerprint}
    await api.add(id="near", text="nothing of the kind", vector=vector, **space)
    await api.add(id="far", text="the office", vector=[-x for x in vector], **space)
    (hit,) = (await search(api, text="office", mode="hybrid", top_k=1))["hits"]
    assert (hit["id"], hit["ranks"]) == ("far", {"text": 1}), "tied with near, and before it in the alphabet"
    assert hit["score"] == pytest.approx(-1, abs=1e-6)


async def test_filters_and_targets_hold_for_words_too(api: Api, picture: Picture) -> None:
    await fill(api)
    await api.add(id="caption", text="the harbour master", image=base64.b64encode(picture()).decode())
    for mode in ("text", "hybrid"):
        hits = (await search(api, text="harbour", mode=mode, target="image"))["hits"]
        assert [hit["id"] for hit in hits] == ["caption"]
        narrow = {"field": "id", "op": "in", "value": ["boat"]}
        assert [hit["id"] for hit in (await search(api, text="harbour", mode=mode, filter=narrow))["hits"]] == ["boat"]


@pytest.mark.parametrize(
    "body",
    [
        {"id": "door", "mode": "text"},
        {"mix": [{"text": "a"}], "mode": "hybrid"},
        {"text": "a", "mode": "text", "min_score": 0.1},
        {"text": "a", "mode": "sparse"},
    ],
)
async def test_a_mode_that_does_not_fit_the_query_is_refused(api: Api, body: dict[str, Any]) -> None:
    await fill(api)
    answer = await api.http.post("/v1/search", json=body)
    assert answer.status_code == 400
    assert "mode" in answer.json()["error"]["message"]


async def test_an_index_without_words_says_so(start: Start) -> None:
    class WithoutWords(MemoryIndex):
        async def search_text(self, queries: Sequence[TextQuery]) -> list[list[Hit]]:
            raise Unsupported("there is no search by words here: use the embedded index", "mode")

    async with start(index=WithoutWords(64)) as api:
        for mode in ("text", "hybrid"):
            answer = await api.http.post("/v1/search", json={"text": "a", "mode": mode})
            error = answer.json()["error"]
            assert (answer.status_code, error["param"], error["code"]) == (400, "mode", "unsupported")
            assert "embedded" in error["message"]
