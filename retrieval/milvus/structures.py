"""The index types that are offered on Milvus: how each is built, and how far a search looks so that recall stays high.

Milvus builds an index for every segment (up to some hundred thousand rows each), and compares the rows of small ones
one by one. Rows that were just written are in a growing segment, which a server searches by an index of its own making
(queryNode.segcore.interimIndex in its configuration) until it has sealed the segment: no parameter of a search reaches
that one. Names and parameters: Milvus's documentation, "In-memory Index". SCANN, IVF_PQ and DISKANN are not offered:
Lite takes the names and searches without them, and a server of version 2.3.5 takes SCANN, calls it finished and never
builds it.
"""

from __future__ import annotations

from typing import Any

from retrieval.open import IndexType

METRIC = "COSINE"
_LISTS = 256
_PROBES = 64
"""A quarter of the lists."""

BUILT_WITH: dict[IndexType, dict[str, Any]] = {
    "flat": {},
    "ivf-flat": {"nlist": _LISTS},
    "ivf-sq8": {"nlist": _LISTS},
    "hnsw": {"M": 16, "efConstruction": 200},
}


def search_params(structure: str, limit: int) -> dict[str, Any]:
    """For `search_params=` of a search for `limit` rows. Nothing for a type that is not of ours."""
    params: dict[str, Any] = {}
    if structure in ("ivf-flat", "ivf-sq8"):
        params["nprobe"] = _PROBES
    if structure == "hnsw":
        params["ef"] = max(256, 2 * limit)
    return {"metric_type": METRIC, "params": params}
