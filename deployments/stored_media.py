"""How the images of stored items reach a reranker: as addresses that its replica reads by itself, or as bytes.

A replica on a machine that sees the media folder reads faster than it could be sent to. One that does not see it says
so, and is sent the bytes.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from deployments.ports import RerankPort
from deployments.rerank import RerankReply, RerankTask, read_input
from retrieval import MediaStore

log = logging.getLogger(__name__)


class StoredMediaReranker:
    """A RerankPort over another, to which it sends bytes only once a replica could not read what is here."""

    def __init__(self, reranker: RerankPort, media: MediaStore) -> None:
        self._reranker = reranker
        self._media = media
        self._sends_bytes = False

    @property
    def names(self) -> frozenset[str]:
        return self._reranker.names

    async def rerank(self, task: RerankTask) -> RerankReply:
        """As the port below; `missing` is empty. An image that is gone from here too is left out of its item."""
        if not self._sends_bytes:
            reply = await self._reranker.rerank(task)
            if not reply.missing:
                return reply
            # Gone from both is an item deleted a moment ago, which says nothing about the replica.
            self._sends_bytes = await asyncio.to_thread(lambda: any(map(self._media.exists, reply.missing)))
            if self._sends_bytes:
                log.warning("a reranker replica does not see the media folder: images are sent to it from now on")
        inputs = (task.query, *task.documents)
        query, *documents = await asyncio.gather(*(read_input(item, self._media) for item in inputs))
        return await self._reranker.rerank(replace(task, query=query, documents=tuple(documents)))
