"""Searches and filters that must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.bad_inputs.case import BadInput


def search_cases() -> Iterator[BadInput]:
    def search(**query: Any) -> bytes:
        return json.dumps({"text": "a"} | query).encode()

    for value in (0, -1, 10**9, "ten", 1.5, None, True):
        yield BadInput(f"top_k {value!r}", "/v1/search", search(top_k=value), param="top_k")
    huge = b'{"text": "a", "top_k": ' + b"9" * 5000 + b"}"
    yield BadInput("top_k of 5,000 digits", "/v1/search", huge, says="JSON")
    for score in (-1.5, 1.01, "high", True):
        yield BadInput(f"min_score {score!r}", "/v1/search", search(min_score=score), param="min_score")
    yield BadInput("min_score NaN", "/v1/search", search(min_score=float("nan")), param="min_score", says="finite")
    yield BadInput("target", "/v1/search", search(target="video"), param="target", says="'image', 'text' or 'any'")
    yield BadInput("a text and an id", "/v1/search", search(id="x"), says="exactly one")
    yield BadInput("unknown id", "/v1/search", b'{"id": "nobody"}', status=404, param="id", says="nobody")
    yield BadInput("bad id", "/v1/search", b'{"id": "a/b c"}', param="id", says="pattern")
    part = {"text": "red"}
    cancels = search(text=None, mix=[part, part | {"weight": -1}])
    yield BadInput("a mix that cancels out", "/v1/search", cancels, param="mix", says="cancel out")
    yield BadInput("a mix of nothing", "/v1/search", search(text=None, mix=[]), param="mix", says="at least 1")
    yield BadInput("a mix of 17", "/v1/search", search(text=None, mix=[part] * 17), param="mix", says="at most 16")
    heavy = search(text=None, mix=[part | {"weight": 1e9}])
    yield BadInput("a mix too heavy", "/v1/search", heavy, param="mix[0].weight", says="10")
    empty = search(text=None, mix=[part, {"text": " "}])
    yield BadInput("a mix with an empty text", "/v1/search", empty, param="mix[1].text", says="empty")
    gone = search(text=None, mix=[part, {"id": "nobody"}])
    yield BadInput("a mix with an unknown id", "/v1/search", gone, status=404, param="mix[1].id", says="nobody")
    both = search(text=None, mix=[{"text": "a", "id": "b"}])
    yield BadInput("a part that is two things", "/v1/search", both, param="mix[0]", says="not both")
    other = search(fingerprint="0" * 16)
    yield BadInput("another fingerprint", "/v1/search", other, status=409, param="fingerprint", says="FINGERPRINT")


def filter_cases() -> Iterator[BadInput]:
    deep: Any = {"field": "a", "value": 1}
    for _ in range(20):
        deep = {"not": deep}
    for name, tree, param in [
        ("a text", "year > 3", "filter"),
        ("empty", {}, "filter"),
        ("unknown operator", {"field": "a", "op": "like", "value": "x"}, "filter.op"),
        ("no value", {"field": "a", "op": "eq"}, "filter.value"),
        ("null value", {"field": "a", "value": None}, "filter.value"),
        ("bad field", {"field": "a;drop", "value": 1}, "filter.field"),
        ("unknown key", {"field": "a", "value": 1, "x": 2}, "filter"),
        ("and of nothing", {"and": []}, "filter.and"),
        ("inner fault", {"and": [{"field": "a", "value": 1}, {"or": [{"field": "a", "op": "in", "value": 3}]}]},
         "filter.and[1].or[0].value"),
        ("an order of booleans", {"field": "a", "op": "gt", "value": True}, "filter.value"),
        ("too deep", deep, "filter" + ".not" * 12),
        ("too many", {"or": [{"field": "a", "value": 1}] * 100}, "filter.or[63]"),
        ("a number beyond float64", {"field": "a", "value": 2**60}, "filter.value"),
        ("tags equal", {"field": "tags", "op": "eq", "value": "x"}, "filter.op"),
    ]:  # fmt: skip
        body = json.dumps({"text": "a", "filter": tree}).encode()
        yield BadInput(f"filter: {name}", "/v1/search", body, param=param)
