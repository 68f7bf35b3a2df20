"""`crossray doctor`: whether the service behind `media.url` takes files, and gives and deletes them."""

from __future__ import annotations

from cluster.settings import Settings
from retrieval import open_media
from retrieval.errors import RetrievalError

PROBE = b"crossray doctor was here"


def media_fault(settings: Settings) -> str | None:
    """What keeps a file from being written, read and deleted there; None where nothing does."""
    try:
        store = open_media(settings.media.options_in(settings.data_dir))
        address = store.put(PROBE)
        found = store.get(address)
        store.delete(address)
    except RetrievalError as error:
        return str(error)
    return None if found == PROBE else f"{settings.media.url} does not give back what it took"
