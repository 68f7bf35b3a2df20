"""The tab Map: the collection in two dimensions, and where a query stands in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import gradio as gr
import numpy as np

from page.api import DEFAULT, ApiFault, Json
from page.cards import Item, name_of
from page.map_view import MAP_JS, Places, map_view
from page.markup import fault, note, text
from page.projection import LEAST_ROWS, Matrix, fit
from page.site import HIDDEN, Site
from page.vectors import read_embedding
from page.words import Words

MAX_ITEMS = 2000
"""Drawn at the most: more dots are a blot, and a vector each has to travel."""
PAGE_ITEMS = 250
NEAREST = 5


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The items on the map with their vectors `(n, dim)`, how many there are in all, and what made the vectors."""

    items: list[Item]
    vectors: Matrix
    count: int
    fingerprint: str


def map_tab(site: Site, collection: gr.Dropdown) -> None:
    """Builds the tab inside an open `gr.Tab`."""
    words = site.words
    gr.HTML(f'<p class="cr-hint">{text(words("map.note"))}</p>', padding=False)
    query = gr.Textbox(
        label=words("map.query"), placeholder=words("search.placeholder"), max_lines=1, elem_id="map-query"
    )
    button = gr.Button(words("map.button"), variant="primary", elem_id="map-button")
    view = gr.HTML(js_on_load=MAP_JS, elem_id="map-view", min_height=80)

    async def show(query: str, collection: str) -> str:
        return await draw(site, query, collection)

    gr.on([button.click, query.submit], show, [query, collection], view, **HIDDEN)


async def draw(site: Site, query: str, collection: str = DEFAULT) -> str:
    """The map as HTML, with a query in it unless that is blank."""
    words, query = site.words, query.strip()
    try:
        drawn = await fetch(site, collection)
        if len(drawn.items) < LEAST_ROWS:
            return note(words("map.too_few", least=LEAST_ROWS, count=drawn.count))
        projection = await asyncio.to_thread(fit, drawn.vectors)
        places = Places(drawn.items, projection(drawn.vectors), collection=collection)
        said = [_extent(words, drawn), words("map.kept", percent=f"{100 * projection.kept:.0f}")]
        if not query:
            return note(" ".join(said)) + map_view(words, places)
        asked = read_embedding(await site.api.embed({"text": query}, "query", drawn.fingerprint))
        fields: Json = {"text": query, "rewrite": "off", "top_k": NEAREST, "collection": collection}
        hits: list[Item] = (await site.api.search(fields))["hits"]
    except ApiFault as error:
        return fault(words, error)
    shown = {item["id"] for item in drawn.items}
    near = [hit for hit in hits if hit["id"] in shown]
    places = Places(
        drawn.items,
        places.places,
        projection(asked.vector[None])[0],
        frozenset(hit["id"] for hit in near),
        collection,
    )
    return note(" ".join(said)) + _nearest(words, query, near, len(hits)) + map_view(words, places)


async def fetch(site: Site, collection: str) -> Drawn:
    """The first MAX_ITEMS items by id, with their vectors. Raises ApiFault."""
    items: list[Json] = []
    rows: list[Matrix] = []
    after: str | None = ""
    while after is not None and len(items) < MAX_ITEMS:
        page = await site.api.items(after, min(PAGE_ITEMS, MAX_ITEMS - len(items)), collection, vectors=True)
        rows += [np.asarray(item.pop("vector"), dtype=np.float32) for item in page["items"]]
        items += page["items"]
        after = page["next"]
    vectors = np.stack(rows) if rows else np.empty((0, 2), dtype=np.float32)
    return Drawn(list(items), vectors, page["count"], page["fingerprint"])


def _extent(words: Words, drawn: Drawn) -> str:
    """How much of the collection is on the map."""
    if len(drawn.items) >= drawn.count:
        return words("map.all", count=drawn.count)
    return words("map.sampled", shown=len(drawn.items), count=drawn.count)


def _nearest(words: Words, query: str, near: list[Item], found: int) -> str:
    """`near` are those of the `found` nearest items that are on the map."""
    if not near:
        return note(words("map.far", query=query))
    names = "".join(f"<li>{text(name_of(hit))} <code>{hit['score']:.4f}</code></li>" for hit in near)
    key = "map.near" if len(near) == found else "map.near_some"
    said = text(words(key, count=len(near), found=found, query=query))
    return f'<div class="cr-nearest"><p>{said}</p><ol>{names}</ol></div>'
