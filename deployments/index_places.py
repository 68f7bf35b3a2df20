"""Where the index of each version is, and opening and deleting it there."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from deployments.catalog.versions import Plan, Version
from encoders import EncoderInfo
from retrieval import EmbeddedOptions, KeptIndex, MilvusOptions, VectorIndex, open_index
from retrieval.open import Backend, IndexType

Options = TypeVar("Options", EmbeddedOptions, MilvusOptions)


@dataclass(frozen=True, slots=True)
class IndexPlaces:
    """The back end of new versions, and where those of each back end are."""

    backend: Backend
    data_dir: Path
    """Each back end has a folder in it, and each version one in that."""
    uri: str | None
    """A Milvus server, instead of a folder."""
    embedded: EmbeddedOptions
    milvus: MilvusOptions
    """Its alias is the start of a name: each version has an alias, and so a collection, of its own."""

    def first_plan(self, info: EncoderInfo) -> Plan:
        """What the default collection is made to where there is none."""
        return Plan(info.name, info.contract, self.backend)

    @staticmethod
    def first_place(info: EncoderInfo) -> str:
        """Where indexes were before there were versions: what lies there is the default collection's."""
        return info.contract.fingerprint

    @staticmethod
    def types(backend: Backend) -> tuple[str, ...]:
        """The index types that a version of this back end may be made with."""
        if backend == "memory":
            return ("flat",)
        types: tuple[str, ...] = get_args(IndexType)
        return types if backend == "embedded" else (*types, "scann")

    async def open(self, version: Version) -> VectorIndex:
        """Raises what `retrieval.open_index` raises."""
        return await open_index(
            version.backend,
            embedded=_with(self.embedded, version.options),
            milvus=self._milvus(version),
            **self._where(version),
        )

    async def delete(self, version: Version) -> None:
        """What the version keeps on disk or in Milvus, if anything. It must not be open. Raises IndexUnavailable."""
        await self._kept(version).delete()

    async def exists(self, version: Version) -> bool:
        """Whether the version keeps anything. Raises IndexUnavailable."""
        return await self._kept(version).exists()

    def _kept(self, version: Version) -> KeptIndex:
        return KeptIndex(backend=version.backend, milvus=self._milvus(version), **self._where(version))

    def _where(self, version: Version) -> dict[str, Any]:
        made = {"dim": version.dim, "contract_json": version.contract_json}
        if version.backend == "milvus" and self.uri is not None:
            return made | {"uri": self.uri}
        return made | {"path": self.data_dir / version.backend / version.place}

    def _milvus(self, version: Version) -> MilvusOptions:
        alias = f"{self.milvus.alias}_{version.place}"
        suffix = version.place.removeprefix(version.fingerprint)
        return replace(_with(self.milvus, version.options), alias=alias, suffix=suffix)


def _with(options: Options, own: Any) -> Options:
    names = {field.name for field in fields(options)}
    return replace(options, **{name: value for name, value in own.items() if name in names})
