"""What the Milvus at the other end is and can do, found out once when an index is opened.

Its version says what it is made of. What expressions it takes is tried on the collection: the answer is certain, and
costs a few milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from retrieval.errors import IncompatibleIndex
from retrieval.milvus.connection import Address, MilvusConnection
from retrieval.milvus.failures import is_refusal
from retrieval.open import IndexType, MilvusOptions

OLDEST_SERVER = (2, 3, 2)
"""Deletes by any expression, JSON columns and arrays of texts."""
_LITE = "milvus_lite-"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`version` is what the server says, `release` the numbers in it."""

    version: str
    release: tuple[int, ...]
    is_lite: bool
    looks_inside_texts: bool
    """Whether `like` takes a pattern that begins with `%`: since 2.4. Without it that part of a filter is done here."""

    def structure_of(self, type: IndexType) -> IndexType:
        """The index type to build for a wish."""
        if type == "auto":
            return "flat" if self.is_lite else "hnsw"
        return type

    def __str__(self) -> str:
        return f"Milvus Lite {self.version.removeprefix(_LITE)}" if self.is_lite else f"Milvus {self.version}"

    @property
    def draws_rows(self) -> bool:
        """Whether expressions may hold RANDOM_SAMPLE."""
        return not self.is_lite and self.release >= (2, 6)

    @property
    def lacking(self) -> tuple[str, ...]:
        """What Crossray can do elsewhere and not here, or only slowly, for people."""
        lacks = [] if self.is_lite else ["search by words (use the embedded index)"]
        if not self.looks_inside_texts:
            lacks.append("`like` inside texts (since 2.4), so `contains` is evaluated by the retriever")
        return tuple(lacks)


def read_capabilities(client: Any, timeout_s: float) -> Capabilities:
    """What the version says. Raises IncompatibleIndex for a server that is too old."""
    version = str(client.get_server_version(timeout=timeout_s))
    is_lite = version.startswith(_LITE)
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    release = tuple(int(number or 0) for number in found.groups()) if found else ()
    if not is_lite and release and release < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise IncompatibleIndex(f"Milvus {version} is too old: {oldest} is the first that keeps what is stored here")
    return Capabilities(version, release, is_lite, looks_inside_texts=is_lite or release >= (2, 4))


def probe_server(uri: str, options: MilvusOptions) -> Capabilities:
    """What a server is, of which nothing is opened. Blocks. Raises IndexUnavailable, IndexFault, IncompatibleIndex."""
    connection = MilvusConnection(Address(uri, options.token, options.ca_file, options.server_name), options.deadline_s)
    try:
        return connection.open(lambda: read_capabilities(connection.client, options.deadline_s))
    finally:
        connection.close()


def takes_expression(client: Any, collection: str, expression: str, timeout_s: float) -> bool:
    """Whether the server can evaluate a filter on a collection that is loaded."""
    from pymilvus.exceptions import MilvusException

    try:
        client.query(collection, filter=expression, output_fields=["id"], limit=1, timeout=timeout_s)
    except MilvusException as error:
        if not is_refusal(error):
            raise
        return False
    return True
