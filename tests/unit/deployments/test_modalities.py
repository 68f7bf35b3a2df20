"""An encoder that takes no images, or no texts: what it does not take is refused, whatever its preparer does."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import pytest

from encoders import EncoderInfo, Modality
from encoders.fake import FakeEncoder
from tests.unit.deployments.conftest import Picture, Start


class Only(FakeEncoder):
    """Says that it takes these alone; its preparer would take all."""

    def __init__(self, *modalities: Modality) -> None:
        super().__init__()
        self._modalities = frozenset(modalities)

    @property
    def info(self) -> EncoderInfo:
        return replace(super().info, modalities=self._modalities)


CASES: Sequence[tuple[Only, list[str], str]] = [
    (Only("text"), ["image"], "image"),
    (Only("image"), ["text"], "text"),
    (Only("text", "image"), ["image", "text"], "image"),
]


@pytest.mark.parametrize(("encoder", "fields", "param"), CASES, ids=["no images", "no texts", "not both at once"])
async def test_what_an_encoder_does_not_take_is_refused(
    start: Start, picture: Picture, encoder: Only, fields: list[str], param: str
) -> None:
    given = {"image": base64.b64encode(picture()).decode(), "text": "red"}
    body = {field: given[field] for field in fields}
    async with start(encoder=encoder) as api:
        for path in ("/v1/items", "/v1/search"):
            answer = await api.http.post(path, json=body)
            error = answer.json()["error"]
            assert (answer.status_code, error["param"], error["code"]) == (400, param, "modality_not_taken")
            assert error["message"].startswith("fake does not take")
        taken = {"image": given["image"]} if "image" in encoder.info.modalities else {"text": "red"}
        both = (await api.http.post("/v1/embeddings", json={"input": [body, taken]})).json()["data"]
        assert both[0]["error"]["param"] == "input[0]"
        assert both[1]["embedding"] is not None
        assert await api.index.count() == 0
        assert api.files() == []
        assert (await api.http.get("/health/ready")).status_code == 200


@pytest.mark.parametrize(("encoder", "param"), [(Only("text"), "images[0]"), (Only("image"), "texts[0]")])
async def test_a_match_names_the_half_that_is_not_taken(
    start: Start, picture: Picture, encoder: Only, param: str
) -> None:
    async with start(encoder=encoder) as api:
        body = {"texts": ["red"], "images": [base64.b64encode(picture()).decode()]}
        answer = await api.http.post("/v1/match", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
