"""What crosses processes by the dozen comes out as it went in, without being looked at field by field."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from ray import cloudpickle

from retrieval.base import Hit, Payload, Query, Record
from retrieval.filters import parse_filter

PAYLOAD = Payload(
    "image", "a dog", "a" * 64, "image/png", 3, 4, "dog.png", ("pets",), {"year": 2024}, 1.5, ocr_text="DOG"
)
FILTER = parse_filter({"field": "kind", "op": "eq", "value": "image"})


@pytest.mark.parametrize("whole", [PAYLOAD, Hit("a", 0.25, PAYLOAD)], ids=["payload", "hit"])
@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps], ids=["pickle", "ray"])
def test_every_field_is_back(whole: object, dumps: Callable[[object], bytes]) -> None:
    back = pickle.loads(dumps(whole))
    assert back == whole
    assert type(back) is type(whole)


def test_vectors_are_back() -> None:
    vector = np.eye(1, 4, dtype=np.float32)[0]
    record, query = pickle.loads(pickle.dumps((Record("a", vector, PAYLOAD), Query(vector, 7, "image", FILTER))))
    np.testing.assert_array_equal(record.vector, vector)
    np.testing.assert_array_equal(query.vector, vector)
    assert (record.id, record.payload) == ("a", PAYLOAD)
    assert (query.top_k, query.filter, query.target) == (7, FILTER, "image")


def test_no_field_is_looked_up_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(of: object) -> None:
        raise AssertionError("slow")

    monkeypatch.setattr(dataclasses, "fields", refused)
    assert pickle.loads(pickle.dumps(PAYLOAD)) == PAYLOAD
