"""The tab Status: whether the cluster is well, and which models run."""

from __future__ import annotations

import asyncio

import gradio as gr

from page.api import ApiFault
from page.markup import fault
from page.site import HIDDEN, Site
from page.status_view import status_view


def status_tab(site: Site, tab: gr.Tab) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    with gr.Row():
        refresh = gr.Button(site.words("refresh"), size="sm", scale=0, min_width=90, elem_id="status-refresh")
    view = gr.HTML(elem_id="status-view")

    async def show() -> str:
        return await status(site)

    gr.on([tab.select, refresh.click], show, None, view, **HIDDEN)


async def status(site: Site) -> str:
    """How the cluster is and what it does, as HTML."""
    try:
        health, models = await asyncio.gather(site.api.health(), site.api.models())
        now = await site.api.status()
    except ApiFault as error:
        return fault(site.words, error)
    return status_view(site.words, health, models, now)
