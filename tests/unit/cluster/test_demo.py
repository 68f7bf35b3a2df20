"""The demo's material: photos that are there, questions whose answers are indexed."""

from __future__ import annotations

from itertools import chain

import pytest

from cluster.demo.photos import bundled_photos
from cluster.demo.questions import MILVUS_PHOTOS, ON_LOCAL, ON_MILVUS
from cluster.demo.texts import demo_texts
from deployments.schemas.search import SearchRequest
from encoders.images import sniff
from retrieval.filters import parse_filter


def test_the_photos_are_photos_and_the_texts_are_many() -> None:
    photos = bundled_photos()
    assert len(photos) >= 20
    assert all(sniff(path.read_bytes()) is not None for path in photos.values())
    texts = demo_texts()
    assert len(texts) >= 30
    assert {text.metadata["lang"] for text in texts} == {"en", "zh"}
    assert len({text.text for text in texts}) == len(texts)


def test_every_question_is_a_valid_search_whose_answer_is_indexed() -> None:
    photos = bundled_photos()
    known = {*photos, *(text.name for text in demo_texts())}
    for question in chain(ON_LOCAL, ON_MILVUS):
        body = SearchRequest.model_validate(question.body(photos))
        if body.filter is not None:
            parse_filter(body.filter)
        assert question.right
        assert question.right <= known
        assert question.picture is None or question.picture in photos


@pytest.mark.parametrize("question", ON_MILVUS, ids=lambda question: question.title)
def test_what_is_asked_of_milvus_is_in_it(question: object) -> None:
    assert question.right & set(MILVUS_PHOTOS)  # type: ignore[attr-defined]


def test_the_questions_cover_every_kind() -> None:
    kinds = " ".join(question.kind for question in (*ON_LOCAL, *ON_MILVUS))
    assert len(ON_LOCAL) + len(ON_MILVUS) >= 8
    for kind in (
        "English text → image",
        "Chinese text → image",
        "image → image",
        "image → text",
        "filter",
        "mix",
        "Milvus",
    ):
        assert kind in kinds
