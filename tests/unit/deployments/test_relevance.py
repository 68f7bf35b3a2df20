"""What hits are worth in themselves: percentiles, match probabilities, "nothing relevant"; and near-duplicates."""

from __future__ import annotations

import base64
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.background import Background, Comparison
from deployments.calibration import CalibrationFile, HitModel, MatchCalibration, calibration_path
from deployments.duplicates import fold
from deployments.local import LocalIndex
from encoders import EncoderInput, Vectors, encode
from encoders.base import Calibration
from encoders.fake import FakeEncoder
from retrieval import Hit, Payload, Record, Sample
from retrieval.errors import IndexUnavailable
from retrieval.memory import MemoryIndex
from tests.unit.deployments.conftest import Api, Picture, Start

ENCODER = FakeEncoder()
DIM = ENCODER.info.dim
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "cyan", "grey")


def vectors(*texts: str) -> Vectors:
    return encode(ENCODER, [EncoderInput(text=text) for text in texts], "query").unwrap()


FIT = MatchCalibration(
    fingerprint=ENCODER.info.contract.fingerprint,
    photos=30,
    captions=10,
    languages=("en",),
    pair=Calibration(4.0, 0.25),
    hits=HitModel(1.0, 2.0, -4.0),
    familiar=vectors(*(f"a {colour} wall" for colour in COLOURS)),
    least_familiarity=0.2,
    least_relevance=0.1,
)


async def store_walls(api: Api, picture: Picture) -> None:
    """Three photos of each colour, and one text."""
    for colour in COLOURS:
        for width in (31, 32, 33):
            image = base64.b64encode(picture(colour, size=(width, 24))).decode()
            await api.add(id=f"{colour}-{width}", image=image)
    await api.add(id="a-text", text="a red wall")


async def search(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def test_percentiles_without_a_calibration(api: Api, picture: Picture) -> None:
    await store_walls(api, picture)
    content = await search(api, text="a red wall", target="image", top_k=30)
    percentiles = [hit["background_percentile"] for hit in content["hits"]]
    assert percentiles == sorted(percentiles, reverse=True)
    assert percentiles[0] == pytest.approx(100 * 27 / 30), "the three red ones do not score lower than the best"
    assert percentiles[-1] == 0
    assert {hit["relevance"] for hit in content["hits"]} == {None}
    assert content["nothing_relevant"] is None
    assert "crossray calibrate" in content["relevance_reason"]
    answer = await api.http.post("/v1/search", json={"text": "red", "min_relevance": 0.5})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "min_relevance", "not_calibrated")


async def test_too_few_items_are_no_background(api: Api) -> None:
    content = await search(api, text="red")
    assert (content["nothing_relevant"], content["relevance_reason"]) == (True, "there are no hits")
    await api.add(id="one", text="a red wall")
    content = await search(api, text="red")
    assert content["hits"][0]["background_percentile"] is None
    assert "30 items" in content["relevance_reason"]


async def test_a_calibrated_search(start: Start, picture: Picture) -> None:
    async with start(calibration=lambda: FIT) as api:
        await store_walls(api, picture)
        found = await search(api, text="a red wall", target="image", top_k=5)
        assert (found["nothing_relevant"], found["relevance_reason"]) == (False, "")
        relevance = [hit["relevance"] for hit in found["hits"]]
        assert relevance == sorted(relevance, reverse=True)
        assert relevance[0] > 0.5 > relevance[-1]
        kept = await search(api, text="a red wall", target="image", top_k=5, min_relevance=0.5)
        assert [hit["id"] for hit in kept["hits"]] == [hit["id"] for hit in found["hits"] if hit["relevance"] >= 0.5]
        none = await search(api, text="a red wall", target="image", min_relevance=1)
        assert (none["hits"], none["nothing_relevant"]) == ([], True)

        unlike = await search(api, text="quarterly revenue", target="image")
        assert unlike["nothing_relevant"] is True
        assert "unlike the captions" in unlike["relevance_reason"]
        assert len(unlike["hits"]) == 10, "it says so, and leaves the decision to the caller"


async def test_what_was_not_calibrated_is_not_judged(start: Start, picture: Picture) -> None:
    async with start(calibration=lambda: FIT) as api:
        await store_walls(api, picture)
        mixed = await search(api, text="a red wall", top_k=40)
        assert mixed["nothing_relevant"] is None
        assert {hit["id"]: hit["relevance"] for hit in mixed["hits"]}["a-text"] is None
        for body in ({"id": "red-32"}, {"image": base64.b64encode(picture("red")).decode()}):
            content = await search(api, target="image", **body)
            assert content["nothing_relevant"] is None
            assert {hit["relevance"] for hit in content["hits"]} == {None}
            refused = await api.http.post("/v1/search", json={**body, "min_relevance": 0.5})
            assert refused.status_code == 400
        words = await search(api, text="wall", mode="text")
        assert words["nothing_relevant"] is None
        both = await search(api, text="a red wall", mode="hybrid")
        assert "words" in both["relevance_reason"]


async def test_the_weakest_best_hit_is_nothing(start: Start, picture: Picture) -> None:
    strict = dataclasses.replace(FIT, least_relevance=0.9999)
    async with start(calibration=lambda: strict) as api:
        await store_walls(api, picture)
        content = await search(api, text="a red wall", target="image")
        assert content["nothing_relevant"] is True
        assert "probability" in content["relevance_reason"]


async def test_match_uses_the_calibration(start: Start, picture: Picture) -> None:
    body = {"texts": ["a red wall"], "images": [base64.b64encode(picture("red")).decode()]}
    for fit in (ENCODER.info.calibration, FIT.pair):
        given = None if fit is not FIT.pair else FIT
        async with start(calibration=lambda given=given: given) as api:
            content = (await api.http.post("/v1/match", json=body)).json()
            assert fit is not None
            expected = 1 / (1 + math.exp(-fit.scale * (content["cosine"][0][0] - fit.midpoint)))
            assert content["probability"][0][0] == pytest.approx(expected, abs=1e-6)


def test_a_calibration_file_is_read_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    file = CalibrationFile(tmp_path, FIT.fingerprint, clock=lambda: now[0])
    assert file.current() is None
    path = calibration_path(tmp_path, FIT.fingerprint)
    path.write_text(FIT.to_json(), encoding="utf-8")
    assert file.current() is None, "it looks at most once a second"
    now[0] += 2
    read = file.current()
    assert read is not None
    assert read.hits == FIT.hits
    np.testing.assert_allclose(read.familiar, FIT.familiar, atol=1e-3)
    assert file.current() is read
    for broken in ("{", "[]", '{"version": 9}', FIT.to_json().replace('"photos": 30,', ""), "null"):
        path.write_text(broken, encoding="utf-8")
        now[0] += 2
        assert file.current() is None
    assert len(caplog.records) == 5
    path.write_text(dataclasses.replace(FIT, fingerprint="another").to_json(), encoding="utf-8")
    now[0] += 2
    assert file.current() is None
    assert "of the space another" in caplog.text
    path.unlink()
    now[0] += 2
    assert file.current() is None


class Sampled(MemoryIndex):
    """Says how often it was asked, and fails when told."""

    asked = 0
    broken = False

    async def sample(self, limit: int) -> Sample:
        self.asked += 1
        if self.broken:
            raise IndexUnavailable("away")
        return await super().sample(limit)


def row(i: int) -> Vectors:
    return np.eye(DIM, dtype=np.float32)[i % DIM]


async def filled(count: int) -> Sampled:
    index = Sampled(DIM)
    await index.upsert([Record(f"{i:03}", row(i), Payload(kind="image")) for i in range(count)])
    return index


async def test_a_background_is_drawn_anew_and_outlives_a_failure() -> None:
    now = [0.0]
    index = await filled(40)
    background = Background(LocalIndex(index), rows=40, clock=lambda: now[0])
    index.broken = True
    assert await background.compare(row(0), "image") is None
    index.broken = False
    now[0] += 5
    for _ in range(3):
        compared = await background.compare(row(0), "image")
        assert compared is not None
        assert compared.percentile(1.0) == pytest.approx(97.5)
    assert index.asked == 2
    assert await background.compare(row(0), "text") is None
    now[0] += 100
    index.broken = True
    assert await background.compare(row(0), "image") is not None, "the old one, until there is another"


def test_a_comparison_at_its_edges() -> None:
    flat = Comparison.of(row(0), np.stack([row(0)] * 30))
    assert (flat.percentile(1.0), flat.percentile(1.1), flat.percentile(-1)) == (0, 100, 0)
    assert math.isfinite(flat.standard(-1.0)), "a background without spread divides by nothing"


async def test_near_duplicates_are_folded_and_the_rest_moves_up(api: Api, picture: Picture) -> None:
    await store_walls(api, picture)
    content = await search(api, text="a red wall", target="image", top_k=5, group_duplicates=0.9)
    first = content["hits"][0]
    assert {first["id"], *first["duplicates"]} == {"red-31", "red-32", "red-33"}
    assert len({hit["id"].split("-")[0] for hit in content["hits"]}) == 5, "five colours, where three reds were first"
    assert "duplicates" in content["timings_ms"]
    for off in (False, None):
        plain = await search(api, text="a red wall", target="image", top_k=5, group_duplicates=off)
        assert [hit["duplicates"] for hit in plain["hits"]] == [[]] * 5
    for bad in (0.2, 1.1, "yes"):
        answer = await api.http.post("/v1/search", json={"text": "red", "group_duplicates": bad})
        assert answer.status_code == 400


async def test_a_form_says_the_same(start: Start, picture: Picture) -> None:
    async with start(calibration=lambda: FIT) as api:
        await store_walls(api, picture)
        form = {"target": "image", "top_k": "5", "group_duplicates": "true"}
        answer = await api.http.post("/v1/search", files={"image": ("q.png", picture("red"))}, data=form)
        assert answer.status_code == 200, answer.text
        assert answer.json()["nothing_relevant"] is None
        words = {"text": (None, "a red wall"), "min_relevance": (None, "0.5"), "target": (None, "image")}
        answer = await api.http.post("/v1/search", files=words | {"group_duplicates": (None, "0.9")})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["hits"][0]["duplicates"]) == 2


async def test_folding_compares_with_the_first_of_a_group_only() -> None:
    index = MemoryIndex(DIM)
    angles = {"a": 0.0, "b": 0.2, "c": 0.4, "d": 0.61}
    at = {id: (np.cos(x) * row(0) + np.sin(x) * row(1)).astype(np.float32) for id, x in angles.items()}
    await index.upsert([Record(id, vector, Payload(kind="image")) for id, vector in at.items()])
    hits = [Hit(id, 1.0 - i / 10, Payload(kind="image")) for i, id in enumerate((*angles, "deleted"))]
    folded = await fold(LocalIndex(index), hits, math.cos(0.3), 10)
    assert [hit.id for hit in folded.hits] == ["a", "c"]
    assert folded.duplicates == {"a": ["b"], "c": ["d"]}
    assert [hit.id for hit in (await fold(LocalIndex(index), hits, 1.0, 2)).hits] == ["a", "b"]
    assert (await fold(LocalIndex(index), [], 0.9, 3)).hits == []
