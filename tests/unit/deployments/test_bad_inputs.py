"""Bad inputs: each a 4xx that names the field and the reason, nothing written, and the next good request works."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bad_inputs.case import BadInput, check_refusal, with_fingerprint
from tests.bad_inputs.table import bad_inputs
from tests.unit.deployments.conftest import Api, Start

CASES = bad_inputs()


def test_there_are_at_least_fifty_and_no_two_alike() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 50


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


async def send(api: Api, case: BadInput) -> None:
    fingerprint = api.encoder.info.contract.fingerprint
    body = with_fingerprint(case, fingerprint)
    content = chunks(body) if case.chunked else body
    answer = await api.http.request(case.method, case.path, content=content, headers=case.headers)
    check_refusal(case, fingerprint, answer.status_code, answer.json())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_bad_input_is_refused_and_leaves_nothing(start: Start, case: BadInput) -> None:
    async with start() as api:
        await send(api, case)
        assert await api.index.count() == 0
        assert api.files() == []
        assert [code for _, code in api.errors] != ["internal_error"]
        assert len(api.errors) == 1, "an error is counted, and once"
        stored = await api.add(text="a good one")
        assert await api.ids(text="a good one") == [stored["id"]]
