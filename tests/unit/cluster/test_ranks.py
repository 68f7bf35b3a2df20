"""Ranks, recall and chance, against slower and plainer ways to get them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from cluster.evaluation import ranks as ranks_module
from cluster.evaluation.ranks import RankMetrics, chance, rank_queries, summarise
from encoders.base import normalise


def plain_rank(scores: list[float], right: list[bool]) -> int:
    """The place of the first right document when, among equals, wrong ones come first."""
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], right[row]))
    return next(place for place, row in enumerate(order, 1) if right[row])


def test_ranks_agree_with_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_module, "BLOCK", 7)
    rng = np.random.default_rng(0)
    queries, documents = normalise(rng.standard_normal((40, 8))), normalise(rng.standard_normal((60, 8)))
    query_owner, document_owner = np.arange(40) % 20, np.arange(60) % 20
    found = rank_queries(queries, query_owner, documents, document_owner)
    for row in range(40):
        scores = (queries[row] @ documents.T).tolist()
        right = (document_owner == query_owner[row]).tolist()
        assert found.rank[row] == plain_rank(scores, right)
        best_wrong = max(s for s, r in zip(scores, right, strict=True) if not r)
        best_right = max(s for s, r in zip(scores, right, strict=True) if r)
        assert found.margin[row] == pytest.approx(best_right - best_wrong, abs=1e-6)


def test_an_encoder_that_says_the_same_of_everything_finds_nothing() -> None:
    same = np.ones((5, 1), dtype=np.float32)
    found = rank_queries(same, np.arange(5), same, np.arange(5))
    assert found.rank.tolist() == [5] * 5
    assert summarise(found).r1 == 0.0


def test_a_perfect_encoder_finds_everything() -> None:
    eye = np.eye(12, dtype=np.float32)
    assert summarise(rank_queries(eye, np.arange(12), eye, np.arange(12))) == RankMetrics(1.0, 1.0, 1.0, 1.0)


def test_chance_with_one_right_document_each() -> None:
    found = chance(np.arange(100), np.arange(100))
    assert (found.r1, found.r5, found.r10) == pytest.approx((0.01, 0.05, 0.10))
    assert found.median_rank == 50


def test_chance_counts_every_order_of_a_small_case() -> None:
    owners = np.array([0, 0, 1, 2, 2, 2])
    queries = np.array([0, 1, 2])
    firsts = [
        [1 + [owners[row] for row in order].index(query) for order in permutations(range(6))] for query in queries
    ]
    found = chance(queries, owners)
    assert found.r1 == pytest.approx(np.mean(np.array(firsts) <= 1))
    assert found.r5 == pytest.approx(np.mean(np.array(firsts) <= 5))
    assert found.r10 == 1.0
    assert found.median_rank == np.median(np.array(firsts).ravel())
