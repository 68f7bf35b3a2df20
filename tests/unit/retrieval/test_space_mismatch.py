"""The error of an index that holds vectors of another contract names the fields that differ."""

from __future__ import annotations

import pickle

import pytest

from retrieval.errors import SpaceMismatch

STORED = '{"dim":4,"model":"m","precision":"fp32"}'


def test_it_names_each_field_that_differs_and_no_other() -> None:
    error = pickle.loads(pickle.dumps(SpaceMismatch(STORED, '{"dim":8,"model":"m","precision":"int8"}')))
    assert error.fields == (("dim", "4", "8"), ("precision", "fp32", "int8"))
    assert "dim: 4, not 8" in str(error)
    assert "precision: fp32, not int8" in str(error)
    assert "model" not in str(error)


def test_a_field_that_only_one_has_differs() -> None:
    error = SpaceMismatch(STORED, '{"dim":4,"model":"m","precision":"fp32","crop":"centre"}')
    assert error.fields == (("crop", "None", "centre"),)


@pytest.mark.parametrize("given", ["not json", '["a list"]', ""])
def test_what_is_no_contract_is_shown_whole(given: str) -> None:
    error = SpaceMismatch(STORED, given)
    assert error.fields == ()
    assert STORED in str(error)
