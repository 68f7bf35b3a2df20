"""`POST /v1/search` through the whole application."""

from __future__ import annotations

import base64
import json

import pytest

from encoders import EncoderInput, encode
from tests.unit.deployments.conftest import Api, Picture


@pytest.fixture
async def stocked(api: Api, picture: Picture) -> Api:
    """Three plain images, two texts, and one item that is both."""
    for colour in ("red", "green", "blue"):
        image = base64.b64encode(picture(colour)).decode()
        await api.add(id=f"image-{colour}", image=image, metadata={"year": 2000 + len(colour)}, tags=[colour])
    await api.add(id="text-red", text="something red")
    await api.add(id="text-green", text="something green")
    await api.add(id="both", text="yellow label", image=base64.b64encode(picture("yellow")).decode())
    return api


async def test_texts_find_images_in_both_languages(stocked: Api) -> None:
    assert (await stocked.ids(text="green", target="image"))[0] == "image-green"
    assert (await stocked.ids(text="绿", target="image"))[0] == "image-green"


async def test_the_answer_names_what_made_it(stocked: Api) -> None:
    answer = (await stocked.http.post("/v1/search", json={"text": "red", "top_k": 2})).json()
    info = stocked.encoder.info
    assert (answer["model"], answer["fingerprint"], answer["target"]) == ("fake", info.contract.fingerprint, "any")
    assert len(answer["hits"]) == 2
    scores = [hit["score"] for hit in answer["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert {hit["image_url"] for hit in answer["hits"]} <= {None, "/v1/items/image-red/image", "/v1/items/both/image"}


@pytest.mark.parametrize("shape", ["base64", "data_uri", "multipart"])
async def test_images_find_images_and_texts(stocked: Api, picture: Picture, shape: str) -> None:
    data = picture("red", "BMP", (40, 40))
    if shape == "multipart":
        form = {
            "target": "image",
            "top_k": "1",
            "min_score": "0.1",
            "filter": json.dumps({"field": "year", "op": "exists"}),
        }
        answer = await stocked.http.post("/v1/search", files={"image": ("q.bmp", data)}, data=form)
    else:
        text = base64.b64encode(data).decode()
        body = {"image": text if shape == "base64" else f"data:image/bmp;base64,{text}", "target": "image", "top_k": 1}
        answer = await stocked.http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    assert [hit["id"] for hit in answer.json()["hits"]] == ["image-red"]


async def test_a_form_without_a_file_is_a_text_search(stocked: Api) -> None:
    answer = await stocked.http.post("/v1/search", files={"text": (None, "green"), "target": (None, "text")})
    assert answer.json()["hits"][0]["id"] == "text-green"


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("image", {"image-red", "image-green", "image-blue", "both"}),
        ("text", {"text-red", "text-green", "both"}),
        ("any", {"image-red", "image-green", "image-blue", "both", "text-red", "text-green"}),
    ],
)
async def test_the_target_says_what_is_found(stocked: Api, target: str, found: set[str]) -> None:
    assert set(await stocked.ids(text="red", target=target)) == found


async def test_a_stored_item_finds_its_neighbours_and_not_itself(stocked: Api) -> None:
    ids = await stocked.ids(id="image-red", top_k=5)
    assert len(ids) == 5, "its own place is filled"
    assert "image-red" not in ids
    assert ids[0] == "text-red"


async def test_the_largest_top_k_works_for_every_query(stocked: Api) -> None:
    assert len(await stocked.ids(text="red", top_k=1000)) == 6
    assert len(await stocked.ids(id="image-red", top_k=1000)) == 5


async def test_a_mix_pulls_and_pushes(stocked: Api) -> None:
    pull = await stocked.ids(mix=[{"text": "red"}, {"text": "green", "weight": 0.2}], target="image", top_k=2)
    assert pull == ["image-red", "image-green"]
    push = [{"text": "red", "weight": 1.0}, {"id": "image-red", "weight": -0.9}]
    assert "image-red" not in await stocked.ids(mix=push)
    away = [{"text": "red green"}, {"text": "red", "weight": -2.0}]
    ranked = await stocked.ids(mix=away, target="image")
    assert ranked.index("image-green") < ranked.index("image-red")


async def test_filters_and_scores_cut(stocked: Api) -> None:
    year = {"field": "year", "op": "gte", "value": 2004}
    assert set(await stocked.ids(text="red", filter=year)) == {"image-green", "image-blue"}
    tags = {
        "and": [{"field": "tags", "op": "any_of", "value": ["red", "blue"]}, {"not": {"field": "id", "value": "x"}}]
    }
    assert set(await stocked.ids(text="red", filter=tags)) == {"image-red", "image-blue"}
    answer = (await stocked.http.post("/v1/search", json={"text": "red", "min_score": 0.5})).json()
    assert answer["hits"]
    assert all(hit["score"] >= 0.5 for hit in answer["hits"])
    assert await stocked.ids(text="red", min_score=1.0) == []


async def test_the_score_is_the_cosine(stocked: Api) -> None:
    vectors = encode(stocked.encoder, [EncoderInput("red"), EncoderInput("something red")], "query").unwrap()
    answer = (await stocked.http.post("/v1/search", json={"text": "red", "target": "text", "top_k": 1})).json()
    assert answer["hits"][0]["id"] == "text-red"
    assert answer["hits"][0]["score"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-5)


async def test_another_fingerprint_is_refused(stocked: Api) -> None:
    right = stocked.encoder.info.contract.fingerprint
    assert await stocked.ids(text="red", fingerprint=right)
    answer = await stocked.http.post("/v1/search", json={"text": "red", "fingerprint": "f" * 16})
    assert answer.status_code == 409
    assert answer.json()["error"]["param"] == "fingerprint"
