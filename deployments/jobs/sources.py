"""Where an item's content comes from, as its row says it, and how a worker gets it.

A row's source is `{"fields": …, "from": …}`: the fields of the item that were given, and where its file is:
`{"kind": "spool", "key", "start", "length"}`, `{"kind": "folder", "root", "path"}` or `{"kind": "url", "url"}`, or null
for a text alone. `"as"` beside it says what the file is, `text` or `image`: known when the job is taken in, by the
field that it came in or by its whole name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

from deployments.bodies import parse_object
from deployments.catalog.versions import DEFAULT
from deployments.errors import Forbidden
from deployments.jobs.folders import ServerFolders
from deployments.jobs.spool import Spool
from deployments.jobs.tables import Lease
from deployments.schemas.items import Item
from encoders.errors import InputError
from retrieval.validation import MAX_SOURCE_CHARS, MAX_TEXT_CHARS

FileKind: TypeAlias = Literal["text", "image"]

Fetch = Callable[[str], Awaitable[bytes]]
"""A URL's content. Raises InputError where it is refused, Unavailable or DeadlineExceeded where it may work later."""


async def fetch_nothing(url: str) -> bytes:
    """Where no URL is fetched."""
    raise Forbidden("URLs are not fetched here: jobs.urls.enabled is off", "urls", "urls_disabled")


class SourceReader:
    """Makes the item of a lease."""

    def __init__(self, spool: Spool, folders: ServerFolders, fetch: Fetch, max_bytes: int) -> None:
        """`max_bytes` is the largest image file that is read."""
        self._spool = spool
        self._folders = folders
        self._fetch = fetch
        self._max_bytes = max_bytes

    async def item(self, lease: Lease) -> Item:
        """Raises InputError or BadRequest where the content is at fault, OSError where the disk is, and what fetching
        raises."""
        fields: dict[str, Any] = dict(lease.source["fields"])
        fields["tags"] = list(dict.fromkeys((*lease.options.get("tags", ()), *fields.get("tags", ()))))
        fields["metadata"] = lease.options.get("metadata", {}) | fields.get("metadata", {})
        fields["collection"] = lease.options.get("collection", DEFAULT)
        place = lease.source["from"]
        if place is not None:
            fields.setdefault("source", lease.name[:MAX_SOURCE_CHARS])
            data = await self._content(place)
            kind = place["as"] if "as" in place else _kind_in_old_row(lease.name, place)
            fields[kind] = _text(data) if kind == "text" else data
        return parse_object(Item, fields)

    async def _content(self, place: dict[str, Any]) -> bytes:
        if place["kind"] == "url":
            return await self._fetch(place["url"])
        if place["kind"] == "folder":
            return await asyncio.to_thread(self._folders.read, place["root"], place["path"], self._max_bytes)
        return await asyncio.to_thread(self._spool.read, place["key"], place["start"], place["length"])


def kind_of_file(name: str) -> FileKind:
    """A file whose name ends in .txt is a text, any other an image."""
    return "text" if name.lower().endswith(".txt") else "image"


def _kind_in_old_row(name: str, place: dict[str, Any]) -> FileKind:
    """Rows written before they had an `"as"`. A URL is an image whatever it is called."""
    return "image" if place["kind"] == "url" else kind_of_file(name)


def _text(data: bytes) -> str:
    if len(data) > 4 * MAX_TEXT_CHARS:
        raise InputError(f"a text has at most {MAX_TEXT_CHARS} characters", "text_too_long", "text")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError("the text is not UTF-8", "text_not_utf8", "text") from error
