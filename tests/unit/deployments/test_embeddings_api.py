"""`POST /v1/embeddings` and `POST /v1/match` through the whole application."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from encoders import EncoderInput, Prepared, Vectors, encode
from encoders.fake import FakeEncoder
from tests.unit.deployments.conftest import Api, Picture, Start


async def embed(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def test_the_answer_is_shaped_as_openai_shapes_it(api: Api) -> None:
    answer = await embed(api, input="a red square", model="fake", user="someone")
    assert (answer["object"], answer["model"]) == ("list", "fake")
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    (datum,) = answer["data"]
    assert (datum["object"], datum["index"]) == ("embedding", 0)
    expected = encode(api.encoder, [EncoderInput("a red square")], "document").unwrap()[0]
    np.testing.assert_allclose(datum["embedding"], expected, atol=1e-6)


async def test_texts_images_and_both_in_one_call(api: Api, picture: Picture) -> None:
    image = base64.b64encode(picture()).decode()
    answer = await embed(api, input=["one", {"text": "two"}, {"image": image}, {"image": image, "text": "both"}])
    vectors = np.array([datum["embedding"] for datum in answer["data"]])
    assert [datum["index"] for datum in answer["data"]] == [0, 1, 2, 3]
    assert vectors.shape == (4, api.encoder.info.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(np.unique(vectors.round(4), axis=0)) == 4


async def test_base64_is_little_endian_float32(api: Api) -> None:
    floats = await embed(api, input=["a", "b"])
    encoded = await embed(api, input=["a", "b"], encoding_format="base64")
    for plain, packed in zip(floats["data"], encoded["data"], strict=True):
        decoded = np.frombuffer(base64.b64decode(packed["embedding"]), "<f4")
        np.testing.assert_allclose(decoded, plain["embedding"], atol=1e-7)


async def test_dimensions_are_those_that_the_encoder_has(api: Api) -> None:
    dim = api.encoder.info.dim
    assert len((await embed(api, input="a", dimensions=dim))["data"][0]["embedding"]) == dim
    answer = await api.http.post("/v1/embeddings", json={"input": "a", "dimensions": 7})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "dimensions"
    assert str(dim) in answer.json()["error"]["message"]


async def test_an_input_that_fails_fails_alone(api: Api, picture: Picture) -> None:
    cut = base64.b64encode(picture(kind="JPEG")[:200]).decode()
    answer = await embed(api, input=["fine", " ", {"image": cut}, "fine too"])
    assert [datum["embedding"] is None for datum in answer["data"]] == [False, True, True, False]
    errors = [answer["data"][row]["error"] for row in (1, 2)]
    assert [(error["code"], error["param"]) for error in errors] == [
        ("text_empty", "input[1]"),
        ("image_corrupt", "input[2]"),
    ]


async def test_where_all_inputs_fail_the_call_fails(api: Api) -> None:
    for body, param in (({"input": " "}, "input"), ({"input": ["", " "]}, "input[0]")):
        answer = await api.http.post("/v1/embeddings", json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


class BuggyEncoder(FakeEncoder):
    """Trips over items of cost 2, which are texts of two words."""

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        if any(item.cost == 2 for item in batch):
            raise RuntimeError("secret")
        return super().forward(batch)


async def test_an_input_that_trips_a_bug_fails_alone(start: Start) -> None:
    async with start(encoder=BuggyEncoder()) as api:
        answer = await embed(api, input=["fine", "two words", "  ", "finetoo"])
        assert [datum["embedding"] is None for datum in answer["data"]] == [False, True, True, False]
        errors = [answer["data"][row]["error"] for row in (1, 2)]
        assert [error["code"] for error in errors] == ["internal_error", "text_empty"]
        assert "secret" not in str(answer)
        alone = await api.http.post("/v1/embeddings", json={"input": "two words"})
        assert (alone.status_code, alone.json()["error"]["code"]) == (500, "internal_error")


async def test_an_item_that_trips_a_bug_keeps_none_of_its_batch_out(start: Start) -> None:
    async with start(encoder=BuggyEncoder()) as api:
        texts = ["one", "two words", "three"]
        answer = await api.http.post("/v1/items", json={"items": [{"text": text} for text in texts]})
        assert answer.status_code == 200, answer.text
        first, bad, last = answer.json()["results"]
        assert first["created"]
        assert last["created"]
        assert bad["error"]["code"] == "internal_error"
        assert "secret" not in answer.text
        assert await api.index.count() == 2


async def test_many_inputs_keep_their_order(api: Api) -> None:
    words = [f"word{number}" for number in range(100)]
    answer = await embed(api, input=words)
    expected = encode(api.encoder, [EncoderInput(word) for word in words], "document").unwrap()
    np.testing.assert_allclose([datum["embedding"] for datum in answer["data"]], expected, atol=1e-6)


async def test_match_is_the_cosine_of_every_pair(api: Api, picture: Picture) -> None:
    images = [picture("red"), picture("blue")]
    body = {"texts": ["red", "blue", "green"], "images": [base64.b64encode(image).decode() for image in images]}
    answer = (await api.http.post("/v1/match", json=body)).json()
    texts = encode(api.encoder, [EncoderInput(text) for text in body["texts"]], "query").unwrap()
    pictures = encode(api.encoder, [EncoderInput(image=image) for image in images], "document").unwrap()
    np.testing.assert_allclose(answer["cosine"], texts @ pictures.T, atol=1e-5)
    fit = api.encoder.info.calibration
    assert fit is not None
    expected = 1 / (1 + np.exp(-fit.scale * (texts @ pictures.T - fit.midpoint)))
    np.testing.assert_allclose(answer["probability"], expected, atol=1e-5)
    assert np.argmax(answer["cosine"], axis=0).tolist() == [0, 1]


@pytest.mark.parametrize(("texts", "images", "param"), [(["ok", ""], 1, "texts[1]"), (["ok"], 0, "images[0]")])
async def test_match_names_the_input_at_fault(
    api: Api, picture: Picture, texts: list[str], images: int, param: str
) -> None:
    sent = [base64.b64encode(picture() if images else b"not an image").decode()]
    answer = await api.http.post("/v1/match", json={"texts": texts, "images": sent})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
