"""The page as one ASGI app: the same tabs once in English, at its path, and once in Chinese, at `zh` below it.

Nothing in it is fetched from elsewhere: fonts are the reader's own, scripts come with Gradio, its analytics are off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.types import ASGIApp

from page.api import DEFAULT, Api, ApiFault
from page.caller import has_key
from page.document import MendedDocument
from page.embedding_tab import embedding_tab
from page.index_tab import index_tab
from page.map_tab import map_tab
from page.markup import text
from page.match_tab import match_tab
from page.search_tab import search_tab
from page.site import HIDDEN, Site
from page.status_tab import status_tab
from page.words import Words

CSS = Path(__file__).with_name("page.css")
FONTS = ("system-ui", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "sans-serif")
CONCURRENT_EVENTS = 16
FORGET_S = 3600
"""Uploaded files are deleted an hour after they came."""


def build_page(api: Api, path: str = "/ui") -> ASGIApp:
    """The app, to be served under `path`; it closes `api` when its lifespan ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await api.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    sites = [Site(api, Words("zh"), f"{path}/zh"), Site(api, Words("en"), path)]
    for site in sites:  # the longer path first: the other one takes whatever begins with it
        _mount(app, site, other=path if site.words.language == "zh" else f"{path}/zh")
    return MendedDocument(app, path)


def _mount(app: FastAPI, site: Site, other: str) -> None:
    gr.mount_gradio_app(
        app,
        build_blocks(site, other),
        path=site.path,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        show_error=False,  # what a handler did not expect may name paths
        theme=_theme(),
        css=CSS.read_text(encoding="utf-8"),
    )


def _theme() -> gr.Theme:
    """The reader's own fonts, and what can be read: Gradio's white on orange and its grey have too little contrast."""
    fonts = [gr.themes.Font(name) for name in FONTS]
    theme = gr.themes.Default(primary_hue="blue", font=fonts, font_mono=gr.themes.Font("monospace"))
    return theme.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
    )


def build_blocks(site: Site, other: str) -> gr.Blocks:
    """The tabs in one language; `other` is where the other one is."""
    words = site.words
    blocks = gr.Blocks(title=words("title"), analytics_enabled=False, fill_width=True, delete_cache=(600, FORGET_S))
    with blocks:
        page_header(site, blocks, other)
        collection = collection_choice(site, blocks)
        with gr.Tabs():
            with gr.Tab(words("tab.search"), id="search"):
                search_tab(site, blocks, collection)
            with gr.Tab(words("tab.index"), id="index") as index:
                index_tab(site, index, collection)
            with gr.Tab(words("tab.embedding"), id="embedding"):
                embedding_tab(site)
            with gr.Tab(words("tab.match"), id="match"):
                match_tab(site)
            with gr.Tab(words("tab.map"), id="map"):
                map_tab(site, collection)
            with gr.Tab(words("tab.status"), id="status") as status:
                status_tab(site, status)
    blocks.queue(default_concurrency_limit=CONCURRENT_EVENTS, api_open=False)
    return blocks


def page_header(site: Site, blocks: gr.Blocks, other: str) -> None:
    """The title, the way to the other language, and the way out for who gave a key. Builds inside open `gr.Blocks`."""
    words = site.words
    title = f"<div><h1>{text(words('title'))}</h1><p>{text(words('subtitle'))}</p></div>"
    switch = f'<a href="{text(other)}/" aria-label="{text(words("switch.label"))}">{text(words("switch"))}</a>'
    way_out = f'<form method="post" action="{text(site.path)}/logout"><button>{text(words("log_out"))}</button></form>'
    header = gr.HTML(f'<header class="cr-header">{title}{switch}</header>')

    async def offer() -> Any:
        return f'<header class="cr-header">{title}{switch}{way_out}</header>' if has_key() else gr.skip()

    blocks.load(offer, None, header, show_progress="hidden", **HIDDEN)


def collection_choice(site: Site, blocks: gr.Blocks) -> gr.Dropdown:
    """Which collection the tabs are about; it shows where there is more than one. Builds inside open `gr.Blocks`."""
    choice = gr.Dropdown([DEFAULT], value=DEFAULT, label=site.words("collection"), visible=False, elem_id="collection")

    async def offer(chosen: str) -> Any:
        try:
            names = await site.api.collections()
        except ApiFault:  # the tabs say what is wrong with the API
            names = [DEFAULT]
        value = chosen if chosen in names else DEFAULT
        return gr.update(choices=names, value=value, visible=len(names) > 1)

    blocks.load(offer, choice, choice, show_progress="hidden", **HIDDEN)
    return choice
