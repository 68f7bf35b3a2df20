"""The tab Embedding: what a text or an image becomes, and how close two are."""

from __future__ import annotations

from typing import Any

import gradio as gr

from page.api import ApiFault
from page.markup import fault, note, text
from page.site import HIDDEN, Site, content_of, read_file
from page.vectors import comparison, embedding_view, read_embedding

IMAGE_HEIGHT_PX = 200


def embedding_tab(site: Site) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    words = site.words
    inputs: list[Any] = []
    with gr.Row():
        for name, title in (("a", "embedding.query"), ("b", "embedding.document")):
            with gr.Column():
                gr.HTML(f'<h2 class="cr-section">{text(words(title))}</h2>', padding=False)
                inputs.append(gr.Textbox(label=words("embedding.text"), max_lines=4, elem_id=f"embedding-text-{name}"))
                inputs.append(
                    gr.Image(
                        label=words("embedding.image"),
                        type="filepath",
                        image_mode=None,
                        sources=["upload", "clipboard"],
                        height=IMAGE_HEIGHT_PX,
                        elem_id=f"embedding-image-{name}",
                    )
                )
    button = gr.Button(words("embedding.button"), variant="primary", elem_id="embedding-button")
    view = gr.HTML(elem_id="embedding-view")

    async def show(text_a: str, image_a: str | None, text_b: str, image_b: str | None) -> str:
        first = content_of(text_a, await read_file(image_a))
        return await embed(site, first, content_of(text_b, await read_file(image_b)))

    button.click(show, inputs, view, **HIDDEN)


async def embed(site: Site, query: dict[str, Any], document: dict[str, Any]) -> str:
    """Both embeddings as HTML, and their cosine; `document` may be empty."""
    words = site.words
    if not query:
        return note(words("embedding.none"))
    try:
        first = read_embedding(await site.api.embed(query, "query"))
        if not document:
            return embedding_view(words, "A", first)
        second = read_embedding(await site.api.embed(document, "document"))
    except ApiFault as error:
        return fault(words, error)
    views = embedding_view(words, "A", first) + embedding_view(words, "B", second)
    return f'{comparison(words, first, second)}<div class="cr-pair">{views}</div>'
