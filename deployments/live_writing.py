"""Storing items from another process than the ingress: in the version that is live, with its encoder, journaled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.all_versions import AllVersions
from deployments.catalog.catalog import Catalog
from deployments.catalog.journaled import JournaledIndex
from deployments.catalog.versions import DEFAULT, Version
from deployments.catalog.view import CatalogView
from deployments.database import Database
from deployments.doorbell import RemoteDoorbell
from deployments.encode_calls import EncodeCalls
from deployments.item_files import ItemFiles
from deployments.remote import RemoteIndex
from deployments.resolving import LiveCollections, LiveItems
from deployments.running_encoders import MissingEncoder, RunningEncoders, ask_running, described, not_running
from deployments.services import Services, build_services
from encoders.images import ImageLimits
from retrieval import MediaOptions, open_media


@dataclass(frozen=True, slots=True)
class WritingOptions:
    """What a process is told that stores items."""

    database_url: str
    media: MediaOptions
    images: ImageLimits
    thumbnails: bool
    """Whether they are made when images are stored."""
    encode_calls: EncodeCalls


async def open_live_items(
    options: WritingOptions,
    retriever: Any,
    encoders: Sequence[Any],
    ocr: Any = None,
    on_retry: Callable[[str], None] = lambda target: None,
    *,
    collection: str = DEFAULT,
) -> LiveItems:
    """For a process beside the ingress. It removes no media file: others write, too.

    `retriever`, `encoders` (the settings' first) and, where it is on, `ocr` are Serve DeploymentHandles. `collection`
    is the one that is asked what is there already.
    """
    view = CatalogView(await asyncio.to_thread(Catalog, Database(options.database_url)))
    running = RunningEncoders([await ask_running(handle, options.encode_calls, on_retry) for handle in encoders])
    media = open_media(options.media)
    rows = AllVersions(view, lambda version: RemoteIndex(retriever, version, fresh=True, on_retry=on_retry))
    files = ItemFiles(media, rows, options.images, sole_writer=False, thumbnails=options.thumbnails)
    doorbell = None if ocr is None else RemoteDoorbell(ocr)

    def build(version: Version) -> Services:
        own = running.of(version.contract)
        return build_services(
            MissingEncoder(not_running(version)) if own is None else own.port,
            JournaledIndex(RemoteIndex(retriever, version.id, on_retry=on_retry), view, version),
            media,
            described(version, running.first.info) if own is None else own.info,
            options.images,
            files=files,
            on_unread=lambda id: None if doorbell is None else doorbell(version.collection, id),
        )

    return LiveItems(LiveCollections(view, build, running.first.info.contract.fingerprint), collection)
