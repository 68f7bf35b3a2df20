"""The tab Add: photos in, each with its outcome; and what is stored, page by page, with a way to delete it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr

from page.api import ApiFault
from page.cards import stored_items
from page.markup import BUTTONS_JS, fault, note
from page.site import HIDDEN, Site
from page.uploads import split_tags, store_all, upload_table

PAGE_ITEMS = 24
FILES_HEIGHT_PX = 200


def add_tab(site: Site, tab: gr.Tab) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    words = site.words
    files = gr.File(
        label=words("add.files"),
        file_count="multiple",
        file_types=["image"],
        type="filepath",
        height=FILES_HEIGHT_PX,
        elem_id="add-files",
    )
    tags = gr.Textbox(label=words("add.tags"), max_lines=1, elem_id="add-tags")
    button = gr.Button(words("add.button"), variant="primary", elem_id="add-button")
    outcome = gr.HTML(elem_id="add-outcome")
    gr.Markdown(f"### {words('browse.title')}")
    refresh = gr.Button(words("browse.refresh"), size="sm", elem_id="browse-refresh")
    stored = gr.HTML(js_on_load=BUTTONS_JS, elem_id="browse-items")

    async def add(paths: list[str] | None, tags: str) -> AsyncIterator[str]:
        if not paths:
            yield note(words("add.none"))
            return
        async for uploads in store_all(site.api, [Path(path) for path in paths], split_tags(tags)):
            yield upload_table(words, uploads)

    async def first() -> str:
        return await browse(site, "")

    async def turn(event: gr.EventData) -> str:
        return await browse(site, event.after)

    async def remove(event: gr.EventData) -> str:
        return await delete(site, event.id, event.name, event.after)

    # Our own progress shows; Gradio's would hide it.
    added = button.click(add, [files, tags], outcome, show_progress="hidden", **HIDDEN)
    added.then(first, None, stored, **HIDDEN)
    gr.on([tab.select, refresh.click], first, None, stored, **HIDDEN)
    stored.browse(turn, None, stored, **HIDDEN)
    stored.remove(remove, None, stored, **HIDDEN)


async def browse(site: Site, after: str, message: str = "") -> str:
    """A page of what is stored, as HTML, from the cursor `after` on."""
    try:
        page = await site.api.items(after, PAGE_ITEMS)
    except ApiFault as error:
        return fault(site.words, error)
    return stored_items(site.words, page, after, message)


async def delete(site: Site, id: str, name: str, after: str) -> str:
    """Deletes an item, and shows the page it was on."""
    try:
        await site.api.delete(id)
    except ApiFault as error:
        return fault(site.words, error) + await browse(site, after)
    return await browse(site, after, site.words("browse.deleted", name=name))
