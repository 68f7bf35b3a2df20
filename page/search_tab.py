"""The tab Search: text and/or image in, cards out; and from each card to what is like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from page.api import ApiFault
from page.cards import search_results
from page.markup import BUTTONS_JS, fault, note
from page.site import HIDDEN, Site, read_file

MAX_TOP_K = 100
IMAGE_HEIGHT_PX = 240


def search_tab(site: Site, blocks: gr.Blocks) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    words = site.words
    targets = [(words("search.any"), "any"), (words("search.images"), "image"), (words("search.texts"), "text")]
    modes = [(words("search.dense"), "dense"), (words("search.lexical"), "text"), (words("search.hybrid"), "hybrid")]
    with gr.Row():
        with gr.Column(scale=2):
            text = gr.Textbox(
                label=words("search.text"),
                placeholder=words("search.placeholder"),
                autofocus=True,
                max_lines=1,
                elem_id="search-text",
            )
            target = gr.Radio(targets, value="any", label=words("search.target"), elem_id="search-target")
            mode = gr.Radio(modes, value="dense", label=words("search.mode"), elem_id="search-mode")
            top_k = gr.Slider(1, MAX_TOP_K, value=12, step=1, label=words("search.top_k"), elem_id="search-top-k")
            button = gr.Button(words("search.button"), variant="primary", elem_id="search-button")
        with gr.Column(scale=1):
            image = gr.Image(
                label=words("search.image"),
                type="filepath",
                image_mode=None,  # the bytes as they are: the server decodes, under its own limits
                sources=["upload", "clipboard"],
                height=IMAGE_HEIGHT_PX,
                elem_id="search-image",
            )
    results = gr.HTML(js_on_load=BUTTONS_JS, elem_id="search-results", min_height=80)

    async def retrieve(text: str, image: str | None, target: str, mode: str, top_k: float) -> str:
        options = {"target": target, "mode": mode, "top_k": int(top_k)}
        return await search(site, text, await read_file(image), options)

    async def more(target: str, top_k: float, event: gr.EventData) -> str:
        return await search_like(site, event.id, event.name, {"target": target, "top_k": int(top_k)})

    async def greet() -> str:
        return await greeting(site)

    gr.on([button.click, text.submit], retrieve, [text, image, target, mode, top_k], results, **HIDDEN)
    results.more(more, [target, top_k], results, **HIDDEN)
    blocks.load(greet, None, results, **HIDDEN)


async def search(site: Site, text: str, image: bytes | None, options: Mapping[str, Any]) -> str:
    """The results of a search by a text and/or an image, as HTML; `options` are the API's fields beside them."""
    if not text.strip() and image is None:
        return note(site.words("search.nothing_asked"))
    fields: dict[str, Any] = {"text": text} if text.strip() else {}
    return await _results(site, {**fields, **options}, image)


async def search_like(site: Site, id: str, name: str, options: Mapping[str, Any]) -> str:
    """The neighbours of a stored item, as HTML."""
    return await _results(site, {"id": id, **options}, like=name)


async def greeting(site: Site) -> str:
    """What the tab says before the first search: how much there is to find."""
    try:
        count = (await site.api.health()).get("count") or 0
    except ApiFault as error:
        return fault(site.words, error)
    return note(site.words("search.ready", count=count) if count else site.words("search.nothing_indexed"))


async def _results(site: Site, fields: dict[str, Any], image: bytes | None = None, like: str = "") -> str:
    try:
        answer = await site.api.search(fields, image)
        indexed = 0 if answer["hits"] else (await site.api.health()).get("count") or 0
    except ApiFault as error:
        return fault(site.words, error)
    return search_results(site.words, answer, indexed, like)
