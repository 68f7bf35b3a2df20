"""What may be asked of collections themselves: made, shown, deleted, built anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deployments.catalog.catalog import Catalog
from deployments.catalog.versions import ANNOUNCE_S, BuildOptions, Collection, Plan, Version
from deployments.catalog.view import CatalogView
from deployments.errors import BadRequest, CrossrayError
from deployments.index_places import IndexPlaces
from deployments.ports import IndexPort
from deployments.running_encoders import RunningEncoders
from retrieval import RetrievalError
from retrieval.open import Backend


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of a version that is to be made, what its caller said; None is as the settings, or the live version, have it."""

    encoder: str | None = None
    dim: int | None = None
    backend: Backend | None = None
    index_type: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A version and its rows; None where its index does not answer."""

    version: Version
    count: int | None


class CollectionAdmin:
    """Writes what is wanted into the catalog; Maintenance does it."""

    def __init__(
        self,
        catalog: Catalog,
        view: CatalogView,
        encoders: RunningEncoders,
        places: IndexPlaces,
        index: Callable[[int], IndexPort],
    ) -> None:
        self._catalog = catalog
        self._view = view
        self._encoders = encoders
        self._places = places
        self._index = index

    async def all(self) -> list[Collection]:
        return list((await self._view.collections(at_most_s=0.0)).values())

    async def one(self, name: str) -> tuple[Collection, list[Counted]]:
        """With the rows of each version. Raises NotFound."""
        await self._view.refresh()
        collection = await self._view.collection(name)
        counts = await asyncio.gather(*(self._count(version) for version in collection.versions))
        return collection, [Counted(v, count) for v, count in zip(collection.versions, counts, strict=True)]

    async def create(self, name: str, wanted: Wanted) -> None:
        """Raises BadRequest, Conflict."""
        await asyncio.to_thread(self._catalog.create, name, self._plan(wanted, None))
        await self._view.refresh()

    async def delete(self, name: str) -> None:
        """Answers when no writer takes it for there any more. Raises BadRequest, NotFound."""
        await asyncio.to_thread(self._catalog.delete_collection, name)
        await self._view.refresh()
        await asyncio.sleep(ANNOUNCE_S)

    async def reindex(self, name: str, wanted: Wanted, options: BuildOptions) -> Version:
        """The version that is to take over, which is being built. Raises BadRequest, NotFound, Conflict."""
        live = (await self._view.collection(name)).live
        return await asyncio.to_thread(self._catalog.begin_build, name, self._plan(wanted, live), options)

    async def promote(self, name: str, version: int, options: BuildOptions) -> Version:
        """Raises NotFound, Conflict."""
        return await asyncio.to_thread(self._catalog.promote, name, version, options)

    async def drop(self, name: str, version: int) -> None:
        """Raises NotFound, Conflict."""
        await asyncio.to_thread(self._catalog.drop_version, name, version)
        await self._view.refresh()

    async def _count(self, version: Version) -> int | None:
        try:
            return await self._index(version.id).count()
        except (CrossrayError, RetrievalError):
            return None

    def _plan(self, wanted: Wanted, live: Version | None) -> Plan:
        """Where nothing is said, an encoder that runs is kept, and so is the back end."""
        own = None if live is None or wanted.encoder is not None else self._encoders.whole(live.contract)
        whole = own or self._encoders.named(wanted.encoder)
        kept_dim = live.dim if live is not None and own is not None else whole.info.dim
        encoder = whole.truncated(wanted.dim or kept_dim)
        backend = wanted.backend or (live.backend if live is not None else self._places.backend)
        keeps_index = live is not None and live.backend == backend and wanted.index_type is None
        options = dict(live.options) if live is not None and keeps_index else self._index_options(backend, wanted)
        return Plan(encoder.info.name, encoder.info.contract, backend, options)

    def _index_options(self, backend: Backend, wanted: Wanted) -> dict[str, Any]:
        if wanted.index_type is None:
            return {}
        known = self._places.types(backend)
        if wanted.index_type not in known:
            raise BadRequest(f"the {backend} index has no type {wanted.index_type!r}: {', '.join(known)}", "index_type")
        return {"type": wanted.index_type}
