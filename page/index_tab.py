"""The tab Index: photos in, each with its outcome, or all as a job; jobs; and what is stored, to look at and delete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from page.api import ApiFault
from page.browse import browse, delete
from page.jobs import JobList, cancel_job, jobs_view, retry_job
from page.markup import BUTTONS_JS, fault, note, text
from page.site import HIDDEN, Site, split_list
from page.uploads import store_all, upload_table

FILES_HEIGHT_PX = 200
LOOK_S = 2.0
"""How often jobs that are under way are looked at."""


def index_tab(site: Site, tab: gr.Tab, collection: gr.Dropdown) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    added = _add_section(site, collection)
    _jobs_section(site, tab, added)
    _browse_section(site, tab, collection, added)


def _heading(site: Site, key: str) -> None:
    gr.HTML(f'<h2 class="cr-section">{text(site.words(key))}</h2>', padding=False)


def _refreshed_heading(site: Site, key: str, elem_id: str) -> gr.Button:
    """A heading with a small button at its end, which is returned."""
    with gr.Row(equal_height=True, elem_classes="cr-bar"):
        _heading(site, key)
        return gr.Button(site.words("refresh"), size="sm", scale=0, min_width=90, elem_id=elem_id)


def _add_section(site: Site, collection: gr.Dropdown) -> Any:
    words = site.words
    _heading(site, "add.title")
    files = gr.File(
        label=words("add.files"),
        file_count="multiple",
        file_types=["image"],
        type="filepath",
        height=FILES_HEIGHT_PX,
        elem_id="add-files",
    )
    with gr.Row():
        tags = gr.Textbox(label=words("add.tags"), max_lines=1, elem_id="add-tags", scale=3)
        as_job = gr.Checkbox(label=words("add.as_job"), elem_id="add-as-job", min_width=200)
    button = gr.Button(words("add.button"), variant="primary", elem_id="add-button")
    outcome = gr.HTML(elem_id="add-outcome")

    async def add(paths: list[str] | None, tags: str, as_job: bool, collection: str) -> AsyncIterator[str]:
        given = [Path(path) for path in paths or ()]
        if not given:
            yield note(words("add.none"))
        elif as_job:
            yield await send_job(site, given, split_list(tags), collection)
        else:
            async for uploads in store_all(site.api, given, split_list(tags), collection):
                yield upload_table(words, uploads)

    # Our own progress shows; Gradio's would hide it.
    return button.click(add, [files, tags, as_job, collection], outcome, show_progress="hidden", **HIDDEN)


async def send_job(site: Site, paths: Sequence[Path], tags: Sequence[str], collection: str) -> str:
    """Sends files to be indexed in the background; says which job they are."""
    try:
        job = await site.api.create_job(paths, tags, collection)
    except ApiFault as error:
        return note(site.words("jobs.off"), "fault") if error.is_off else fault(site.words, error)
    return note(site.words("jobs.accepted", id=job["id"], total=job["total"]))


def _jobs_section(site: Site, tab: gr.Tab, added: Any) -> None:
    refresh = _refreshed_heading(site, "jobs.title", "jobs-refresh")
    gr.HTML(f'<p class="cr-hint">{text(site.words("jobs.note"))}</p>', padding=False)
    view = gr.HTML(js_on_load=BUTTONS_JS, elem_id="jobs-view")
    clock = gr.Timer(LOOK_S, active=False)

    def shown(jobs: JobList) -> tuple[str, Any]:
        return jobs.html, gr.Timer(active=jobs.moves)

    async def first() -> tuple[str, Any]:
        return shown(await jobs_view(site))

    async def turn(event: gr.EventData) -> tuple[str, Any]:
        older = await jobs_view(site, event.before)
        return older.html, gr.Timer(active=older.moves and not event.before)

    async def cancel(event: gr.EventData) -> tuple[str, Any]:
        return shown(await cancel_job(site, event.id))

    async def retry(event: gr.EventData) -> tuple[str, Any]:
        return shown(await retry_job(site, event.id))

    quiet: dict[str, Any] = {"show_progress": "hidden"} | HIDDEN
    added.then(first, None, [view, clock], **quiet)
    gr.on([tab.select, refresh.click, clock.tick], first, None, [view, clock], **quiet)
    view.jobs(turn, None, [view, clock], **HIDDEN)
    view.cancel(cancel, None, [view, clock], **HIDDEN)
    view.retry(retry, None, [view, clock], **HIDDEN)


def _browse_section(site: Site, tab: gr.Tab, collection: gr.Dropdown, added: Any) -> None:
    refresh = _refreshed_heading(site, "browse.title", "browse-refresh")
    stored = gr.HTML(js_on_load=BUTTONS_JS, elem_id="browse-items")

    async def first(collection: str) -> str:
        return await browse(site, "", collection)

    async def turn(collection: str, event: gr.EventData) -> str:
        return await browse(site, event.after, collection)

    async def remove(collection: str, event: gr.EventData) -> str:
        return await delete(site, event.id, event.name, event.after, collection)

    added.then(first, collection, stored, **HIDDEN)
    gr.on([tab.select, refresh.click, collection.input], first, collection, stored, **HIDDEN)
    stored.browse(turn, collection, stored, **HIDDEN)
    stored.remove(remove, collection, stored, **HIDDEN)
