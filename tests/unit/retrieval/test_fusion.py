"""Reciprocal rank fusion."""

from __future__ import annotations

import pytest

from retrieval.fusion import RANK_CONSTANT, fuse


def test_two_good_places_beat_one_first_place() -> None:
    fused = fuse({"dense": ["a", "b", "c"], "text": ["d", "b"]})
    assert [one.id for one in fused] == ["b", "a", "d", "c"]
    assert fused[0].ranks == {"dense": 2, "text": 2}
    assert fused[0].score == pytest.approx(2 / (RANK_CONSTANT + 2))


def test_one_ranking_keeps_its_order_and_ties_go_by_id() -> None:
    assert [one.id for one in fuse({"dense": ["z", "a"], "text": []})] == ["z", "a"]
    assert [one.id for one in fuse({"dense": ["z"], "text": ["a"]})] == ["a", "z"]
    assert fuse({}) == []
