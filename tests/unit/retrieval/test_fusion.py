"""Weighted reciprocal rank fusion."""

from __future__ import annotations

import pytest

from retrieval.fusion import RANK_CONSTANT, TEXT_WEIGHT, fuse


def test_two_good_places_beat_one_first_place() -> None:
    fused = fuse({"dense": ["a", "b", "c"], "text": ["d", "b"]})
    assert [one.id for one in fused] == ["b", "d", "a", "c"], "and a first place by words one by vector"
    assert fused[0].ranks == {"dense": 2, "text": 2}
    assert fused[0].score == pytest.approx((1 + TEXT_WEIGHT) / (RANK_CONSTANT + 2))


def test_a_first_place_outweighs_any_two_of_which_one_is_far_behind() -> None:
    """What only the vectors can find must not drown in what words and vectors both list somewhere."""
    dense = ["photo", *(f"page-{n}" for n in range(50))]
    fused = fuse({"dense": dense, "text": dense[:0:-1]})
    assert [one.id for one in fused].index("photo") == 2, "behind the first two by words"
    assert [one.id for one in fuse({"dense": dense, "text": dense[:0:-1]}, {}, 60)].index("photo") == 50


def test_one_ranking_keeps_its_order_and_ties_go_by_id() -> None:
    assert [one.id for one in fuse({"dense": ["z", "a"], "text": []})] == ["z", "a"]
    assert [one.id for one in fuse({"dense": ["z"], "text": ["a"]}, {})] == ["a", "z"]
    assert fuse({}) == []
