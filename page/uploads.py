"""Adding many photos: a few at a time, each with an outcome of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from page.api import DEFAULT, Api, ApiFault
from page.markup import text
from page.words import Words

AT_ONCE = 4
Outcome = Literal["waiting", "stored", "known", "failed"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way. `why` says what went wrong where it failed."""

    path: Path
    outcome: Outcome = "waiting"
    why: str = ""


async def store_all(
    api: Api, paths: Sequence[Path], tags: Sequence[str], collection: str = DEFAULT
) -> AsyncIterator[list[Upload]]:
    """Stores every file; yields the state of all at the start and after each. A file that fails fails alone."""
    uploads = [Upload(path) for path in paths]
    yield list(uploads)
    slots = asyncio.Semaphore(AT_ONCE)

    async def store(row: int) -> tuple[int, Upload]:
        async with slots:
            return row, await _store(api, uploads[row], tags, collection)

    for done in asyncio.as_completed([store(row) for row in range(len(uploads))]):
        row, upload = await done
        uploads[row] = upload
        yield list(uploads)


async def _store(api: Api, upload: Upload, tags: Sequence[str], collection: str) -> Upload:
    try:
        data = await asyncio.to_thread(upload.path.read_bytes)
        answer = await api.store(data, upload.path.name, tags, collection)
    except (ApiFault, OSError) as error:
        return replace(upload, outcome="failed", why=str(error))
    return replace(upload, outcome="stored" if answer["created"] else "known")


def upload_table(words: Words, uploads: Sequence[Upload]) -> str:
    """Progress of all, then a row a file."""
    done = sum(upload.outcome != "waiting" for upload in uploads)
    counts = {kind: sum(upload.outcome == kind for upload in uploads) for kind in ("stored", "known", "failed")}
    said = words("add.progress", done=done, total=len(uploads))
    if done == len(uploads):
        said = words("add.summary", **counts)
    rows = "".join(
        f'<tr class="cr-{upload.outcome}"><th scope="row">{text(upload.path.name)}</th>'
        f"<td>{text(_outcome(words, upload))}</td></tr>"
        for upload in uploads
    )
    return (
        f'<p class="cr-note" role="status"><progress max="{len(uploads)}" value="{done}" aria-label="{text(said)}">'
        f'</progress> {text(said)}</p><table class="cr-table"><thead><tr><th scope="col">{text(words("add.file"))}</th>'
        f'<th scope="col">{text(words("add.outcome"))}</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _outcome(words: Words, upload: Upload) -> str:
    if upload.outcome == "failed":
        return words("add.failed", why=upload.why)
    return words(f"add.{upload.outcome}")
