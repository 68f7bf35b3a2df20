"""Query structurers by name."""

from __future__ import annotations

import pytest

from encoders import ModelUnavailable
from encoders.errors import Unstructured
from encoders.queries import StructuredQuery
from encoders.registry import STRUCTURERS, load_structurer


def test_options_reach_the_structurer() -> None:
    fake = load_structurer("fake-structurer", refuse="poison")
    refused, read = fake.structure(["poison", "a red lamp"])
    assert isinstance(refused, Unstructured)
    assert read == StructuredQuery("red lamp", None, "en")


def test_an_unknown_structurer_lists_those_there_are() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        load_structurer("starter")
    assert all(name in str(caught.value) for name in STRUCTURERS)
