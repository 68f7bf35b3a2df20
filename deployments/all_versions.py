"""What all versions of all collections have in common: the media files that their rows name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from deployments.catalog.loose_files import LooseFiles
from deployments.catalog.view import CatalogView, VersionGone
from deployments.errors import CrossrayError
from deployments.item_files import ItemFiles
from deployments.ports import IndexPort
from retrieval import Filter, RetrievalError

LOOK_S = 2.0
log = logging.getLogger(__name__)


class AllVersions:
    """Counts rows in every version that there is: built, live or kept."""

    def __init__(self, view: CatalogView, index: Callable[[int], IndexPort]) -> None:
        self._view = view
        self._index = index
        self._indexes: dict[int, IndexPort] = {}

    async def count(self, filter: Filter | None = None) -> int:
        """Raises what the ports raise: a version that does not answer may have such rows."""
        collections = (await self._view.collections()).values()
        ids = [version.id for collection in collections for version in collection.versions]
        self._indexes = {id: self._indexes.get(id) or self._index(id) for id in ids}
        return sum(await asyncio.gather(*(self._count(index, filter) for index in self._indexes.values())))

    @staticmethod
    async def _count(index: IndexPort, filter: Filter | None) -> int:
        try:
            return await index.count(filter)
        except VersionGone:
            return 0


async def release_loose(loose_files: LooseFiles, files: ItemFiles) -> None:
    """Until cancelled: lets go of the files that versions named which were dropped, unless an item still names them.
    Where that could not be told, it is looked at again."""
    while True:
        try:
            after = 0
            while loose := await asyncio.to_thread(loose_files.page, after):
                decided = [seq for seq, address in loose if await files.release(address)]
                await asyncio.to_thread(loose_files.settle, decided)
                after = loose[-1][0]
        except (CrossrayError, RetrievalError, OSError) as error:
            log.warning("loose files were not looked at: %s", error)
        await asyncio.sleep(LOOK_S)
