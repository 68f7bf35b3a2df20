"""A request that counts on another embedding space gets a 409 that names what differs, and nothing is stored."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import pytest

from deployments.errors import param_of, status_of
from deployments.examples import RED
from deployments.schemas.space import ContractBody
from deployments.space import FINGERPRINT_HEADER
from encoders import VectorContract
from retrieval.errors import SpaceMismatch
from tests.unit.deployments.conftest import Api, Picture

WRONG = "0123456789abcdef"


def contract_of(api: Api, **changed: Any) -> dict[str, Any]:
    return asdict(api.encoder.info.contract) | changed


async def refusal(api: Api, path: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = await api.http.post(path, json=body, **options)
    assert answer.status_code == 409, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["type"] == "conflict_error"
    assert api.files() == []
    assert await api.index.count() == 0
    return error


def test_the_body_has_the_contracts_fields() -> None:
    assert list(ContractBody.model_fields) == [field.name for field in fields(VectorContract)]


@pytest.mark.parametrize("path", ["/v1/search", "/v1/items"])
@pytest.mark.parametrize("field", [field.name for field in fields(VectorContract)])
async def test_a_contract_that_differs_is_refused_by_the_fields_name(api: Api, path: str, field: str) -> None:
    ours = contract_of(api)[field]
    theirs = ours + 1 if isinstance(ours, int) else f"{ours}-other"
    error = await refusal(api, path, {"text": "a dog", "contract": contract_of(api, **{field: theirs})})
    assert (error["param"], error["code"]) == (f"contract.{field}", "contract_mismatch")
    assert f"{field}: expected {ours}, found {theirs}" in error["message"]


async def test_every_field_that_differs_is_named(api: Api) -> None:
    body = {"text": "a dog", "contract": contract_of(api, precision="int8", pooling="mean")}
    error = await refusal(api, "/v1/search", body)
    assert error["param"] == "contract.pooling, contract.precision"


@pytest.mark.parametrize("path", ["/v1/search", "/v1/items"])
async def test_a_fingerprint_that_differs_is_refused_in_the_body_and_in_the_header(api: Api, path: str) -> None:
    error = await refusal(api, path, {"text": "a dog", "fingerprint": WRONG})
    assert (error["param"], error["code"]) == ("fingerprint", "fingerprint_mismatch")
    error = await refusal(api, path, {"text": "a dog"}, headers={FINGERPRINT_HEADER: WRONG})
    assert (error["param"], error["code"]) == (FINGERPRINT_HEADER, "fingerprint_mismatch")
    assert api.encoder.info.contract.fingerprint in error["message"]


MATCH = {"texts": ["a"], "images": [RED]}


async def test_the_header_counts_where_vectors_are_made(api: Api) -> None:
    wrong = {FINGERPRINT_HEADER: WRONG}
    assert (await api.http.post("/v1/embeddings", json={"input": "a"}, headers=wrong)).status_code == 409
    assert (await api.http.post("/v1/match", json=MATCH, headers=wrong)).status_code == 409
    assert (await api.http.get("/v1/models", headers=wrong)).status_code == 200, "it is where one reads the right one"


@pytest.mark.parametrize("path", ["/v1/search", "/v1/items"])
async def test_what_runs_is_accepted_by_contract_fingerprint_and_header(api: Api, path: str) -> None:
    fingerprint = api.encoder.info.contract.fingerprint
    body = {"text": "a dog", "contract": contract_of(api), "fingerprint": fingerprint}
    answer = await api.http.post(path, json=body, headers={FINGERPRINT_HEADER: fingerprint})
    assert answer.status_code in (200, 201), answer.text


async def test_a_form_may_carry_the_contract(api: Api, picture: Picture) -> None:
    form = {"contract": json.dumps(contract_of(api, precision="int8"))}
    answer = await api.http.post("/v1/search", data=form, files={"image": ("a.png", picture(), "image/png")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (409, "contract.precision")


async def test_a_vector_may_come_with_its_contract(api: Api) -> None:
    vector = [1.0] + [0.0] * (api.encoder.info.dim - 1)
    await api.add(text="a dog", vector=vector, contract=contract_of(api))
    answer = await api.http.post("/v1/items", json={"text": "a cat", "vector": vector})
    assert answer.status_code == 400


async def test_a_contract_with_a_field_missing_or_misspelt_is_a_bad_request(api: Api) -> None:
    missing = contract_of(api)
    del missing["pixels"]
    answer = await api.http.post("/v1/search", json={"text": "a", "contract": missing})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "contract.pixels")
    answer = await api.http.post("/v1/search", json={"text": "a", "contract": contract_of(api, pixel="1")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "contract.pixel")


async def test_one_item_of_a_batch_is_refused_alone(api: Api) -> None:
    items = [{"text": "a dog", "contract": contract_of(api, revision="old")}, {"text": "a cat"}]
    answer = await api.http.post("/v1/items", json={"items": items})
    first, second = answer.json()["results"]
    assert first["error"]["param"] == "contract.revision"
    assert second["created"]


def test_an_index_of_another_contract_says_which_fields() -> None:
    error = SpaceMismatch('{"dim":4,"precision":"fp32"}', '{"dim":4,"precision":"int8"}')
    assert (status_of(error).status, param_of(error)) == (409, "contract.precision")
