"""The best items for a query's words, under a filter."""

from __future__ import annotations

from retrieval.base import Hit, TextQuery
from retrieval.embedded.store import Store
from retrieval.filters import matches
from retrieval.lexical import terms
from retrieval.ranking import DECIMALS
from retrieval.scope import scope_of

FIRST_LIMIT = 64
GROWTH = 4


def search_texts(store: Store, query: TextQuery) -> list[Hit]:
    """At most `top_k` hits, best first, ties by id.

    Takes the best matches, and more of them until enough pass the filter and nothing beyond can tie with the last.
    """
    wanted = terms(query.text)
    if not wanted:
        return []
    scope = scope_of(query)
    limit = max(FIRST_LIMIT, 2 * query.top_k)
    while True:
        found = [(id, round(score, DECIMALS), payload) for id, score, payload in store.matching(wanted, limit)]
        hits = [Hit(id, score, payload) for id, score, payload in found if scope is None or matches(scope, id, payload)]
        hits.sort(key=lambda hit: (-hit.score, hit.id))
        if len(found) < limit or (len(hits) >= query.top_k and hits[query.top_k - 1].score > min(f[1] for f in found)):
            return hits[: query.top_k]
        limit *= GROWTH
