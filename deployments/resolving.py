"""From a collection's name to the services over its live version, once a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from starlette.requests import Request

from deployments.catalog.catalog import unknown_collection
from deployments.catalog.versions import DEFAULT, Version
from deployments.catalog.view import CatalogView, VersionGone
from deployments.items import Stored
from deployments.schemas.items import Item
from deployments.services import Services
from deployments.space import require_header
from deployments.stages import Stages

T = TypeVar("T")
ATTEMPTS = 3
"""Of one request, where versions go or take over under it."""


class Collections(Protocol):
    """Where routes find services."""

    def fingerprint(self) -> str:
        """Of the default collection, as far as it is known."""
        ...

    async def services(self, name: str) -> Services:
        """Over the live version. Raises NotFound, Unavailable."""
        ...

    async def refresh(self) -> None:
        """Forgets what may be old."""
        ...


class OneCollection:
    """Collections where there is but the default one."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def fingerprint(self) -> str:
        return self._services.info.contract.fingerprint

    async def services(self, name: str) -> Services:
        if name != DEFAULT:
            raise unknown_collection(name)
        return self._services

    async def refresh(self) -> None:
        """Nothing is old."""


class LiveCollections:
    """The collections of a catalog, with a bundle of services for each version that was asked for."""

    def __init__(self, view: CatalogView, build: Callable[[Version], Services], fingerprint: str) -> None:
        """`build` makes the services over a version. `fingerprint` is the default's until it was asked for."""
        self._view = view
        self._build = build
        self._bundles: dict[int, Services] = {}
        self._fingerprint = fingerprint

    def fingerprint(self) -> str:
        return self._fingerprint

    async def services(self, name: str) -> Services:
        live = (await self._view.collection(name, or_older=True)).live
        if live.id not in self._bundles:
            known = {
                version.id for one in (await self._view.collections(or_older=True)).values() for version in one.versions
            }
            self._bundles = {id: bundle for id, bundle in self._bundles.items() if id in known}
            self._bundles[live.id] = self._build(live)
        if name == DEFAULT:
            self._fingerprint = live.fingerprint
        return self._bundles[live.id]

    async def refresh(self) -> None:
        await self._view.refresh()


class LiveItems:
    """Stores items in the collections that they name, each in the version that is live then."""

    def __init__(self, collections: Collections, collection: str = DEFAULT) -> None:
        """`collection` is the one that `existing` looks into."""
        self._collections = collections
        self._collection = collection

    async def require(self, name: str) -> None:
        """Raises NotFound where there is no such collection."""
        await self._collections.services(name)

    async def add(self, item: Item, stages: Stages) -> Stored:
        """See `ItemService.add`; also raises NotFound for the collection."""
        _, stored = await in_live(self._collections, item.collection, lambda services: services.items.add(item, stages))
        return stored

    async def existing(self, ids: Sequence[str]) -> list[str]:
        """See `ItemService.existing`."""
        return (await in_live(self._collections, self._collection, lambda services: services.items.existing(ids)))[1]


async def in_live(collections: Collections, name: str, do: Callable[[Services], Awaitable[T]]) -> tuple[Services, T]:
    """What `do` answers over the collection's live version: all of it over one, and over another from the start where
    that one went meanwhile."""
    for attempt in range(1, ATTEMPTS + 1):
        services = await collections.services(name)
        try:
            return services, await do(services)
        except VersionGone:
            if attempt == ATTEMPTS:
                raise
            await collections.refresh()
    raise AssertionError


async def ask(
    collections: Collections,
    request: Request,
    name: str,
    do: Callable[[Services], Awaitable[T]],
    *,
    pinned: bool = True,
) -> tuple[Services, T]:
    """As `in_live`, for a request. A `pinned` one may count on an embedding space in its header: Conflict is raised
    where it counts on another.
    """

    async def checked(services: Services) -> T:
        request.state.fingerprint = services.info.contract.fingerprint
        if pinned:
            require_header(services.info, request.headers)
        return await do(services)

    return await in_live(collections, name, checked)
