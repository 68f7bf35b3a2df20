"""BM25 over texts in memory: the oracle of the lexical search, as SQLite's FTS5 computes it.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009; constants and the floor of the inverse
document frequency are those of FTS5's bm25().
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from retrieval.lexical import Term

K1 = 1.2
B = 0.75
LEAST_IDF = 1e-6
"""Of a term that most texts hold."""


def bm25(query: Sequence[Term], texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Scores by id of the texts that hold a term; `texts` are tokens by id, and those without any do not count."""
    counts = {id: Counter(tokens) for id, tokens in texts.items() if tokens}
    average = sum(counter.total() for counter in counts.values()) / max(1, len(counts))
    scores: dict[str, float] = {}
    for term in query:
        found = {id: times for id, counter in counts.items() if (times := _times(term, counter))}
        idf = max(LEAST_IDF, math.log((len(counts) - len(found) + 0.5) / (len(found) + 0.5)))
        for id, times in found.items():
            length = counts[id].total() / average
            scores[id] = scores.get(id, 0.0) + idf * times * (K1 + 1) / (times + K1 * (1 - B + B * length))
    return scores


def _times(term: Term, counter: Counter[str]) -> int:
    if not term.is_prefix:
        return counter[term.token]
    return sum(times for token, times in counter.items() if token.startswith(term.token))
