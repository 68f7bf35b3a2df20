"""Two encoders behind one API: each makes its own vectors, under its own contract."""

from __future__ import annotations

import pytest

from encoders.fake import FakeEncoder
from tests.unit.deployments.conftest import Start

FINGERPRINT = "X-Crossray-Fingerprint"


async def test_two_encoders_are_up_at_once(start: Start) -> None:
    small = FakeEncoder(dim=96)
    async with start(others=[small]) as api:
        listed = (await api.http.get("/v1/models")).json()["data"]
        assert [model["dim"] for model in listed] == [api.encoder.info.dim, 96]
        first, second = (model["fingerprint"] for model in listed)
        assert first != second
        for fingerprint, dim in ((first, api.encoder.info.dim), (second, 96)):
            answer = await api.http.post("/v1/embeddings", json={"input": "a red door", "model": fingerprint})
            assert len(answer.json()["data"][0]["embedding"]) == dim
            assert answer.headers[FINGERPRINT] == fingerprint
        item = await api.add(text="a red door")
        assert item["fingerprint"] == first, "items belong to the first encoder's collection"


async def test_a_caller_that_counts_on_the_other_contract_is_refused(start: Start) -> None:
    async with start(others=[FakeEncoder(dim=96)]) as api:
        first, second = (model["fingerprint"] for model in (await api.http.get("/v1/models")).json()["data"])
        body = {"input": "a red door", "model": second}
        assert (await api.http.post("/v1/embeddings", json=body, headers={FINGERPRINT: second})).status_code == 200
        refused = await api.http.post("/v1/embeddings", json=body, headers={FINGERPRINT: first})
        assert (refused.status_code, refused.json()["error"]["param"]) == (409, FINGERPRINT)
        search = await api.http.post("/v1/search", json={"text": "red"}, headers={FINGERPRINT: second})
        assert search.status_code == 409


async def test_a_model_that_does_not_run_is_named_beside_those_that_do(start: Start) -> None:
    async with start(others=[FakeEncoder(dim=96)]) as api:
        answer = await api.http.post("/v1/embeddings", json={"input": "x", "model": "gpt-4"})
        error = answer.json()["error"]
        assert (answer.status_code, error["param"], error["code"]) == (400, "model", "model_not_found")
        assert "'gpt-4'" in error["message"]
        assert "'fake', 'fake'" in error["message"]


async def test_two_encoders_of_one_contract_are_one_too_many(start: Start) -> None:
    with pytest.raises(ValueError, match="the same contract"):
        async with start(others=[FakeEncoder()]):
            pass
