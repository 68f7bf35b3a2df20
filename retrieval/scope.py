"""Which rows a query is about: what its target and its filter let pass, as one filter."""

from __future__ import annotations

from retrieval.base import KINDS_OF_TARGET, Query, TextQuery
from retrieval.filters import And, Filter, In


def scope_of(query: Query | TextQuery) -> Filter | None:
    """None for every row."""
    if query.target == "any":
        return query.filter
    kinds = In("kind", KINDS_OF_TARGET[query.target])
    return kinds if query.filter is None else And((kinds, query.filter))
