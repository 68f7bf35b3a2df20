"""Items as cards: the hits of a search, and what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from page.api import DEFAULT
from page.markup import facts, image_url, text
from page.words import Words

MAX_OCR_CHARS = 300
Item = Mapping[str, Any]


def card(words: Words, item: Item, action: str, scores: str = "", collection: str = DEFAULT) -> str:
    """One item with its picture, `scores` above its name and `action` below its metadata, both as HTML."""
    name = name_of(item)
    picture = ""
    if item.get("thumbnail_url"):
        alt = text(name if name != item["id"] else words("card.image", id=item["id"]))
        full, small = (image_url(item["id"], size, collection) for size in ("image", "thumbnail"))
        picture = f'<a href="{text(full)}" target="_blank"><img src="{text(small)}" alt="{alt}" loading="lazy"></a>'
    return (
        f'<li class="cr-card" data-id="{text(item["id"])}">{picture}<div class="cr-about">{scores}'
        f'<p class="cr-name">{text(name)}</p>{facts(_about(words, item))}{action}</div></li>'
    )


def name_of(item: Item) -> str:
    """What a reader knows an item by: its caption, else where it came from, else its id."""
    return str(item.get("text") or item.get("source") or item["id"])


def _about(words: Words, item: Item) -> list[tuple[str, object]]:
    """Metadata as it was given, then what the server knows."""
    about: list[tuple[str, object]] = list(item.get("metadata", {}).items())
    about += [(words("card.tags"), ", ".join(item["tags"]))] if item.get("tags") else []
    if item.get("source") and item["source"] != name_of(item):
        about.append((words("card.source"), item["source"]))
    if item.get("width"):
        about.append((item.get("mime") or "", words("card.size", width=item["width"], height=item["height"])))
    if item.get("ocr_text"):
        about.append((words("card.ocr"), item["ocr_text"][:MAX_OCR_CHARS]))
    return about
