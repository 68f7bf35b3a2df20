"""The tab Match: some images against some texts, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from page.api import ApiFault
from page.heatmap import Column, heat_map
from page.markup import fault, note
from page.site import HIDDEN, Site, read_files

FILES_HEIGHT_PX = 200


def match_tab(site: Site) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    words = site.words
    with gr.Row():
        images = gr.File(
            label=words("match.images"),
            file_count="multiple",
            file_types=["image"],
            type="filepath",
            height=FILES_HEIGHT_PX,
            elem_id="match-images",
        )
        texts = gr.Textbox(label=words("match.texts"), lines=6, elem_id="match-texts")
    button = gr.Button(words("match.button"), variant="primary", elem_id="match-button")
    view = gr.HTML(elem_id="match-view")

    async def show(paths: list[str] | None, texts: str) -> str:
        return await match(site, paths or [], texts)

    button.click(show, [images, texts], view, **HIDDEN)


async def match(site: Site, paths: Sequence[str], lines: str) -> str:
    """The heat map of images and the lines of a text, as HTML."""
    texts = [line.strip() for line in lines.splitlines() if line.strip()]
    if not paths or not texts:
        return note(site.words("match.none"))
    try:
        answer = await site.api.match(texts, await read_files(paths))
    except ApiFault as error:
        return fault(site.words, error)
    columns = [Column(Path(path).name, site.file_url(path)) for path in paths]
    return heat_map(site.words, texts, columns, answer)
