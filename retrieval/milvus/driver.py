"""Importing pymilvus, which configures logging as a program would, and in doing so closes the handlers of this one.

`logging.config.dictConfig` closes every handler that there is. A replica's log then went nowhere, each line that it
wrote raised, and Serve's controller, which asks replicas for their log files when it comes back from a crash, stopped
those of the retriever.
"""

from __future__ import annotations

import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from retrieval.errors import MissingExtra


def load_client(*, with_lite: bool) -> Any:
    """The class MilvusClient. Raises MissingExtra."""
    try:
        with _handlers_kept():
            from pymilvus import MilvusClient

            if with_lite:
                import milvus_lite  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "pymilvus", "milvus") from error
    # They log a traceback, filter text included, for every error that they also raise.
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return MilvusClient


@contextmanager
def _handlers_kept() -> Iterator[None]:
    configure = logging.config.dictConfig
    logging.config.dictConfig = lambda config: None
    try:
        yield
    finally:
        logging.config.dictConfig = configure
