"""The collection behind an alias: found, or made; checked, and loaded.

Several processes may do this at once. What one finds made by another it takes, so that all end at one collection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from retrieval.errors import IncompatibleIndex, SpaceMismatch
from retrieval.milvus.capabilities import Capabilities, read_capabilities, takes_expression
from retrieval.milvus.schema import CONTRACT_PROPERTY, PAYLOAD_FIELDS, VECTOR_FIELD, build_schema, collection_name
from retrieval.milvus.structures import BUILT_WITH, METRIC
from retrieval.open import IndexType

LOAD_S = 600.0
"""For bringing a collection into the server's memory, which takes seconds for a small one and minutes for a large."""


@dataclass(frozen=True, slots=True)
class Collection:
    """An open one. `structure` is the index type that it really has."""

    name: str
    structure: str
    capabilities: Capabilities


class CollectionOpener:
    """Opens collections of one vector contract. Its methods block and raise what pymilvus raises, too."""

    def __init__(self, client: Any, dim: int, contract_json: str, deadline_s: float, suffix: str = "") -> None:
        """`suffix` ends the name of a collection that is made."""
        self._suffix = suffix
        self._client = client
        self._dim = dim
        self._contract_json = contract_json
        self._deadline_s = deadline_s

    def open(self, alias: str, type: IndexType) -> Collection:
        """Raises SpaceMismatch, Unsupported, and IncompatibleIndex for a server or a collection of another age."""
        capabilities = read_capabilities(self._client, self._deadline_s)
        structure = capabilities.structure_of(type)
        name = self._behind(alias)
        if name is None:
            name = collection_name(self._contract_json, self._dim, self._suffix)
            if not self._client.has_collection(name, timeout=self._deadline_s):
                self._create(name)
            self._check(name)
            name = self._point(alias, name)
        self._check(name)
        built = self._indexed(name, structure)
        # A Lite collection comes back released after every open.
        self._client.load_collection(name, timeout=LOAD_S)
        looks_inside = takes_expression(self._client, name, 'text_folded like "%a%"', self._deadline_s)
        return Collection(name, built, replace(capabilities, looks_inside_texts=looks_inside))

    def _behind(self, alias: str) -> str | None:
        for collection in self._client.list_collections(timeout=self._deadline_s):
            if alias in self._client.list_aliases(collection, timeout=self._deadline_s)["aliases"]:
                return str(collection)
        return None

    def _point(self, alias: str, name: str) -> str:
        """The collection that the alias points at in the end, which another process may have pointed elsewhere."""
        from pymilvus.exceptions import MilvusException

        try:
            self._client.create_alias(name, alias, timeout=self._deadline_s)
        except MilvusException:
            if (other := self._behind(alias)) is None:
                raise
            return other
        return name

    def _create(self, name: str) -> None:
        """Taking the same collection, made by another process meanwhile, for ours."""
        from pymilvus.exceptions import MilvusException

        try:
            self._client.create_collection(
                name,
                schema=build_schema(self._client, self._dim, self._contract_json),
                properties={CONTRACT_PROPERTY: self._contract_json},
                # Calls say what they wait for; with this the server keeps the timestamps of walks.
                consistency_level="Session",
                timeout=self._deadline_s,
            )
        except MilvusException:
            if not self._client.has_collection(name, timeout=self._deadline_s):
                raise

    def _indexed(self, name: str, structure: IndexType) -> str:
        """Makes the index where there is none, as in a new collection or one whose maker was killed."""
        if not self._client.list_indexes(name, VECTOR_FIELD, timeout=self._deadline_s):
            index = self._client.prepare_index_params()
            name_there = structure.replace("-", "_").upper()
            index.add_index(VECTOR_FIELD, index_type=name_there, metric_type=METRIC, params=BUILT_WITH[structure])
            self._client.create_index(name, index, sync=False, timeout=self._deadline_s)
        described = self._client.describe_index(name, VECTOR_FIELD, timeout=self._deadline_s)
        return str(described["index_type"]).lower().replace("_", "-")

    def _check(self, name: str) -> None:
        described = self._client.describe_collection(name, timeout=self._deadline_s)
        stored = (described.get("properties") or {}).get(CONTRACT_PROPERTY) or described.get("description", "")
        if stored != self._contract_json:
            raise SpaceMismatch(stored, self._contract_json)
        missing = {*PAYLOAD_FIELDS} - {field["name"] for field in described["fields"]}
        if missing:
            raise IncompatibleIndex(
                f"the collection {name} was made by an older Crossray and has no {', '.join(sorted(missing))}: "
                "export it with that one, drop it, and import it with this one"
            )
