"""Finding and dropping the collection behind an alias of a Milvus server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrieval.milvus.connection import Address, MilvusConnection
from retrieval.milvus.schema import collection_name
from retrieval.open import MilvusOptions


def delete_collection(uri: str, dim: int, contract_json: str, options: MilvusOptions) -> None:
    """The alias and its collection; without them nothing is done. Blocks. Raises IndexUnavailable, MissingExtra.

    Done again after it was cut off, it also finds a collection that has lost its alias already.
    """
    own, deadline_s = collection_name(contract_json, dim, options.suffix), options.deadline_s
    connection = _connection(uri, options)

    def drop() -> None:
        client = connection.client
        for name, is_aliased in _found(client, own, options):
            if is_aliased:
                client.drop_alias(options.alias, timeout=deadline_s)
            client.drop_collection(name, timeout=deadline_s)

    try:
        connection.open(drop)
    finally:
        connection.close()


def collection_exists(uri: str, dim: int, contract_json: str, options: MilvusOptions) -> bool:
    """Whether there is what `delete_collection` would drop. Blocks. Raises IndexUnavailable, MissingExtra."""
    own = collection_name(contract_json, dim, options.suffix)
    connection = _connection(uri, options)
    try:
        return connection.open(lambda: any(True for _ in _found(connection.client, own, options)))
    finally:
        connection.close()


def _connection(uri: str, options: MilvusOptions) -> MilvusConnection:
    return MilvusConnection(Address(uri, options.token, options.ca_file, options.server_name), options.deadline_s)


def _found(client: Any, own: str, options: MilvusOptions) -> Iterator[tuple[str, bool]]:
    """Names of collections, and whether the alias points at them."""
    for name in client.list_collections(timeout=options.deadline_s):
        is_aliased = options.alias in client.list_aliases(name, timeout=options.deadline_s)["aliases"]
        if is_aliased or name == own:
            yield name, is_aliased
