"""Groups of like lengths: every row once, little padding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from encoders.batching import length_groups


@given(lengths=st.lists(st.integers(1, 4000), max_size=64))
def test_every_row_is_in_one_group_and_padding_is_bounded(lengths: list[int]) -> None:
    groups = length_groups(lengths)
    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        padded = max(lengths[row] for row in group) * len(group)
        assert padded - sum(lengths[row] for row in group) <= max(512, 0.1 * padded)


def test_short_texts_do_not_pay_for_long_pictures() -> None:
    assert length_groups([1000, 12, 1003, 15, 14]) == [[1, 4, 3], [0, 2]]
    assert length_groups([30, 12, 25]) == [[1, 2, 0]]
    assert length_groups([]) == []
