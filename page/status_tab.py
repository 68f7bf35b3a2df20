"""The tab Status: whether the cluster is well, and which models run."""

from __future__ import annotations

import gradio as gr

from page.api import ApiFault
from page.contracts import status_view
from page.markup import fault
from page.site import HIDDEN, Site


def status_tab(site: Site, tab: gr.Tab) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    refresh = gr.Button(site.words("status.refresh"), size="sm", elem_id="status-refresh")
    view = gr.HTML(elem_id="status-view")

    async def show() -> str:
        return await status(site)

    gr.on([tab.select, refresh.click], show, None, view, **HIDDEN)


async def status(site: Site) -> str:
    try:
        return status_view(site.words, await site.api.health(), await site.api.models())
    except ApiFault as error:
        return fault(site.words, error)
