"""One query's search keeps its arrays: threads and numbers of hits must not meet in them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np

from retrieval.embedded.one_query import OneQuery


def test_threads_with_any_number_of_hits_get_what_faiss_finds() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    index = faiss.IndexFlatIP(16)
    index.add(rows)
    search = OneQuery(index)
    asked = [(rows[n % 300], 1 + n % 40) for n in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: search(*one, None), asked))
    for (query, wanted), (scores, labels) in zip(asked, answers, strict=True):
        (expected_scores,), (expected,) = index.search(query[None], wanted)
        assert labels.tolist() == expected.tolist()
        assert scores.tolist() == expected_scores.tolist()


def test_what_is_not_there_is_filled_up() -> None:
    index = faiss.IndexFlatIP(4)
    index.add(np.eye(4, dtype=np.float32))
    _, labels = OneQuery(index)(np.ones(4, dtype=np.float32), 6, None)
    assert labels.tolist()[4:] == [-1, -1]
