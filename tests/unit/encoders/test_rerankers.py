"""The reranker contract, and the fake that ships for tests."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from encoders import EncoderInput, InputError, ModelUnavailable
from encoders.registry import RERANKERS, load_reranker
from encoders.reranking import PairPreparer, Reranker, score
from tests.tiny.inputs import picture


@pytest.fixture(scope="module")
def fake() -> Reranker:
    return load_reranker("fake-reranker", refuse="poison")


def test_the_fake_keeps_the_contract(fake: Reranker) -> None:
    assert isinstance(fake, Reranker)
    assert isinstance(fake.preparer, PairPreparer)
    assert score(fake, EncoderInput("red"), []).shape == (0,)


def test_more_words_in_common_score_higher(fake: Reranker) -> None:
    documents = [EncoderInput("a blue car"), EncoderInput("a red bus in town"), EncoderInput("one red car")]
    scores = score(fake, EncoderInput("red car"), documents)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [0.5, 0.5, 1.0])


def test_an_image_has_its_colours(fake: Reranker) -> None:
    images = [EncoderInput(image=picture(32, 32, seed)) for seed in range(4)]
    own = [int(score(fake, image, images).argmax()) for image in images]
    assert own == [0, 1, 2, 3]


def test_a_pair_scores_the_same_from_a_pickled_preparer(fake: Reranker) -> None:
    preparer = pickle.loads(pickle.dumps(fake.preparer))
    pair = (EncoderInput("red car"), EncoderInput("a red bus"))
    again = fake.forward([preparer(pickle.loads(pickle.dumps(preparer.query(pair[0]))), pair[1])])
    np.testing.assert_array_equal(again, score(fake, pair[0], [pair[1]]))


@pytest.mark.parametrize(
    ("query", "document", "param"),
    [
        (EncoderInput("poison"), EncoderInput("a"), "query"),
        (EncoderInput("a"), EncoderInput("poison"), "document"),
        (EncoderInput("a"), EncoderInput(image=b"no image"), "document"),
        (EncoderInput(), EncoderInput("a"), "query"),
        (EncoderInput("a"), EncoderInput(), "document"),
    ],
)
def test_an_error_names_the_half_at_fault(
    fake: Reranker, query: EncoderInput, document: EncoderInput, param: str
) -> None:
    with pytest.raises(InputError) as caught:
        score(fake, query, [document])
    assert caught.value.param == param


def test_the_fingerprint_covers_every_field(fake: Reranker) -> None:
    info = fake.info
    others = [replace(info, **{name: "other"}) for name in ("name", "model", "revision", "settings")]
    assert len({info.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_an_unknown_reranker_lists_those_there_are() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        load_reranker("starter")
    assert all(name in str(caught.value) for name in RERANKERS)
