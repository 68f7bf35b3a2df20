"""What `crossray doctor` finds out about Milvus: whether a server answers, what it is, and what it lacks."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from cluster.vector_settings import IndexSettings
from retrieval.errors import RetrievalError

DEADLINE_S = 5.0


def milvus_found(index: IndexSettings) -> tuple[bool, str] | None:
    """Whether the server of these settings can be used, and what it is or what went wrong; None where none is set."""
    if index.backend != "milvus" or index.uri is None or find_spec("pymilvus") is None:
        return None
    from retrieval.milvus.capabilities import probe_server

    try:
        found = probe_server(index.uri, replace(index.milvus_options, deadline_s=DEADLINE_S))
    except RetrievalError as error:
        return False, str(error)
    return True, f"{found} at {index.uri}; it lacks {'; '.join(found.lacking)}"
