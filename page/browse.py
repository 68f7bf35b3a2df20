"""What is stored, page by page, as HTML; and deleting from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from page.api import DEFAULT, ApiFault
from page.cards import Item, card, name_of
from page.markup import button, fault, note, text
from page.site import Site
from page.words import Words

PAGE_ITEMS = 24


async def browse(site: Site, after: str, collection: str = DEFAULT, message: str = "") -> str:
    """A page of what is stored, as HTML, from the cursor `after` on."""
    try:
        page = await site.api.items(after, PAGE_ITEMS, collection)
    except ApiFault as error:
        return fault(site.words, error)
    return stored_items(site.words, page, after, collection, message)


async def delete(site: Site, id: str, name: str, after: str, collection: str = DEFAULT) -> str:
    """Deletes an item, and shows the page it was on."""
    try:
        await site.api.delete(id, collection)
    except ApiFault as error:
        return fault(site.words, error) + await browse(site, after, collection)
    return await browse(site, after, collection, site.words("browse.deleted", name=name))


def stored_items(
    words: Words, page: Mapping[str, Any], after: str, collection: str = DEFAULT, message: str = ""
) -> str:
    """A page of what is stored, each with a button that deletes it; `after` is the cursor this page began with."""
    parts = [note(message)] if message else []
    parts.append(f'<p class="cr-note" role="status">{text(words("browse.count", count=page["count"]))}</p>')
    cards = "".join(card(words, item, _remove(words, item, after), "", collection) for item in page["items"])
    parts.append(f'<ol class="cr-cards">{cards}</ol>' if cards else "")
    if after:
        parts.append(button(words("browse.first"), "browse", after=""))
    if page["next"] is not None:
        parts.append(button(words("browse.next"), "browse", after=page["next"]))
    return "".join(parts)


def _remove(words: Words, item: Item, after: str) -> str:
    name = name_of(item)
    confirm = words("card.confirm", name=name)
    spoken = words("browse.delete.of", name=name)
    return button(words("card.delete"), "remove", spoken, id=item["id"], name=name, after=after, confirm=confirm)
