"""The tab Search: words and/or an image in, cards out; and from each card to what is like it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from page.api import DEFAULT, ApiFault, Json
from page.asking import Query, Scope
from page.filter_form import OPERATORS, Condition, FormFault, as_filter
from page.markup import BUTTONS_JS, fault, note
from page.results import no_hits, search_results
from page.site import HIDDEN, Site, read_file, split_list

MAX_TOP_K = 100
IMAGE_HEIGHT_PX = 260
CONDITIONS = 2


def search_tab(site: Site, blocks: gr.Blocks, collection: gr.Dropdown) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    words = site.words
    with gr.Row(equal_height=False):
        with gr.Column(scale=2):
            text = gr.Textbox(
                label=words("search.text"),
                placeholder=words("search.placeholder"),
                autofocus=True,
                max_lines=1,
                elem_id="search-text",
            )
            target, mode = _choices(site)
            button = gr.Button(words("search.button"), variant="primary", elem_id="search-button")
        with gr.Column(scale=1, min_width=280):
            image = gr.Image(
                label=words("search.image"),
                type="filepath",
                image_mode=None,  # the bytes as they are: the server decodes, under its own limits
                sources=["upload", "clipboard"],
                height=IMAGE_HEIGHT_PX,
                elem_id="search-image",
            )
            share = gr.Slider(
                0, 1, 0.5, step=0.05, label=words("search.image_share"), visible=False, elem_id="search-image-share"
            )
    with gr.Accordion(words("search.more_options"), open=False, elem_id="search-options"):
        negatives = gr.Textbox(
            "",  # what is folded away has the value that it was made with
            label=words("search.negatives"),
            placeholder=words("search.negatives.placeholder"),
            max_lines=1,
            elem_id="search-negatives",
        )
        tags, conditions = _filter_form(site)
        with gr.Row():
            top_k = gr.Slider(1, MAX_TOP_K, value=12, step=1, label=words("search.top_k"), elem_id="search-top-k")
            fold = gr.Checkbox(label=words("search.fold"), elem_id="search-fold")
    results = gr.HTML(js_on_load=BUTTONS_JS, elem_id="search-results", min_height=80)
    scope = [collection, target, top_k, fold, tags, *conditions]

    async def retrieve(text: str, image: str | None, share: float, negatives: str, mode: str, *scope: Any) -> str:
        try:
            asked = Query(
                text, await read_file(image), share, tuple(split_list(negatives)), mode, read_scope(site, *scope)
            )
        except FormFault as error:
            return note(error.message, "fault")
        return await search(site, asked)

    async def more(event: gr.EventData, *scope: Any) -> str:
        try:
            return await search_like(site, event.id, event.name, read_scope(site, *scope))
        except FormFault as error:
            return note(error.message, "fault")

    async def greet(collection: str) -> str:
        return await greeting(site, collection)

    def show_share(image: str | None) -> Any:
        return gr.update(visible=image is not None)

    asked = [text, image, share, negatives, mode, *scope]
    gr.on([button.click, text.submit, negatives.submit], retrieve, asked, results, **HIDDEN)
    results.more(more, scope, results, **HIDDEN)
    image.change(show_share, image, share, show_progress="hidden", **HIDDEN)
    gr.on([blocks.load, collection.input], greet, collection, results, **HIDDEN)


def _choices(site: Site) -> tuple[gr.Radio, gr.Radio]:
    words = site.words
    targets = [(words("search.any"), "any"), (words("search.images"), "image"), (words("search.texts"), "text")]
    modes = [(words("search.dense"), "dense"), (words("search.lexical"), "text"), (words("search.hybrid"), "hybrid")]
    with gr.Row():
        target = gr.Radio(targets, value="any", label=words("search.target"), elem_id="search-target")
        mode = gr.Radio(modes, value="dense", label=words("search.mode"), elem_id="search-mode")
    return target, mode


def _filter_form(site: Site) -> tuple[gr.Textbox, list[Any]]:
    """The field of tags, and the fields of each condition one after the other."""
    words = site.words
    operators = [(words(f"filter.{op}"), op) for op in OPERATORS]
    conditions: list[Any] = []
    gr.HTML(f'<h2 class="cr-legend">{words("filter.title")}</h2>', padding=False)
    tags = gr.Textbox("", label=words("filter.tags"), max_lines=1, elem_id="filter-tags")
    for line in range(1, CONDITIONS + 1):
        with gr.Row():
            conditions.append(
                gr.Textbox(
                    "",
                    label=words("filter.field"),
                    placeholder=words("filter.field.placeholder"),
                    max_lines=1,
                    elem_id=f"filter-field-{line}",
                )
            )
            conditions.append(gr.Dropdown(operators, value="eq", label=words("filter.op"), elem_id=f"filter-op-{line}"))
            conditions.append(
                gr.Textbox(
                    "",
                    label=words("filter.value"),
                    placeholder=words("filter.value.placeholder"),
                    max_lines=1,
                    elem_id=f"filter-value-{line}",
                )
            )
    return tags, conditions


def read_scope(
    site: Site, collection: str, target: str, top_k: float, fold: bool, tags: str, *conditions: str
) -> Scope:
    """From the form's values; `conditions` are field, operator and value in turn. Raises FormFault."""
    lines = [Condition(*conditions[at : at + 3]) for at in range(0, len(conditions), 3)]
    return Scope(collection, target, int(top_k), as_filter(site.words, split_list(tags), lines), fold)


async def search(site: Site, query: Query) -> str:
    """The results of a search, as HTML."""
    try:
        fields, image = query.body(site.words)
    except FormFault as error:
        return note(error.message, "fault")
    return await _results(site, fields, image)


async def search_like(site: Site, id: str, name: str, scope: Scope) -> str:
    """The neighbours of a stored item, as HTML."""
    return await _results(site, {"id": id, **scope.fields()}, like=name)


async def greeting(site: Site, collection: str = DEFAULT) -> str:
    """What the tab says before the first search: how much there is to find."""
    try:
        count = await site.api.count(collection)
    except ApiFault as error:
        return fault(site.words, error)
    return note(site.words("search.ready", count=count) if count else site.words("search.nothing_indexed"))


async def _results(site: Site, fields: Json, image: bytes | None = None, like: str = "") -> str:
    collection = fields["collection"]
    try:
        answer = await site.api.search(fields, image)
        if not answer["hits"]:
            return no_hits(site.words, fields, await site.api.count(collection))
    except ApiFault as error:
        return fault(site.words, error)
    return search_results(site.words, answer, like, collection)
