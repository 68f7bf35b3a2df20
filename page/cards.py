"""Items as cards: the hits of a search, and what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from page.markup import button, facts, image_url, note, text
from page.words import Words

MAX_OCR_CHARS = 300


def search_results(words: Words, answer: Mapping[str, Any], indexed: int, like: str = "") -> str:
    """The hits of a search with their cosines and the time of each stage; `like` names the item that was asked about.

    With no hits it says whether anything is indexed at all.
    """
    hits: Sequence[Mapping[str, Any]] = answer["hits"]
    if not hits:
        return note(words("search.nothing_indexed") if indexed == 0 else words("search.no_hits", count=indexed))
    cards = "".join(_card(words, hit, _scores(words, hit), _more(words, hit)) for hit in hits)
    heading = f'<h2 class="cr-hidden">{text(words("search.results"))}</h2>'
    return f'{_summary(words, answer, like)}{heading}<ol class="cr-cards">{cards}</ol>'


def stored_items(words: Words, page: Mapping[str, Any], after: str, message: str = "") -> str:
    """A page of what is stored, each with a button that deletes it; `after` is the cursor this page began with."""
    parts = [note(message)] if message else []
    parts.append(f'<p class="cr-note" role="status">{text(words("browse.count", count=page["count"]))}</p>')
    cards = "".join(_card(words, item, "", _remove(words, item, after)) for item in page["items"])
    parts.append(f'<ol class="cr-cards">{cards}</ol>')
    if after:
        parts.append(button(words("browse.first"), "browse", after=""))
    if page["next"] is not None:
        parts.append(button(words("browse.next"), "browse", after=page["next"]))
    return "".join(parts)


def name_of(item: Mapping[str, Any]) -> str:
    """What a reader knows an item by: its caption, else where it came from, else its id."""
    return str(item.get("text") or item.get("source") or item["id"])


def _summary(words: Words, answer: Mapping[str, Any], like: str) -> str:
    timings = answer["timings_ms"]
    said = words("search.hits", count=len(answer["hits"]), total=f"{timings['total']:.1f}")
    if like:
        said = words("search.like", name=like) + said
    if answer.get("rewritten_query"):
        said += " · " + words("search.rewritten", query=answer["rewritten_query"])
    stages = " · ".join(f"{words.stage(name)} {ms:.1f}" for name, ms in timings.items() if name != "total")
    return f'<p class="cr-note" role="status">{text(said)} <span class="cr-stages">({text(stages)})</span></p>'


def _card(words: Words, item: Mapping[str, Any], scores: str, action: str) -> str:
    name = name_of(item)
    picture = ""
    if item.get("thumbnail_url"):
        alt = text(name if name != item["id"] else words("card.image", id=item["id"]))
        full, small = image_url(item["id"], "image"), image_url(item["id"], "thumbnail")
        picture = f'<a href="{full}" target="_blank"><img src="{small}" alt="{alt}" loading="lazy"></a>'
    return (
        f'<li class="cr-card" data-id="{text(item["id"])}">{picture}<div class="cr-about">{scores}'
        f'<p class="cr-name">{text(name)}</p>{facts(_about(words, item))}{action}</div></li>'
    )


def _scores(words: Words, hit: Mapping[str, Any]) -> str:
    """The cosine, which a search by words has none of, and what else found or judged the hit."""
    scores = ""
    if hit["score"] is not None:
        scores += f'<span class="cr-score" title="{text(words("card.score"))}">{hit["score"]:.4f}</span>'
    for name, figure in (("card.words", hit.get("text_score")), ("card.rerank", hit.get("rerank_score"))):
        if figure is not None:
            scores += f" <span>{text(words(name))} {figure:.3f}</span>"
    return f'<p class="cr-scores">{scores}</p>'


def _about(words: Words, item: Mapping[str, Any]) -> list[tuple[str, object]]:
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


def _more(words: Words, hit: Mapping[str, Any]) -> str:
    return button(words("card.more"), "more", id=hit["id"], name=name_of(hit))


def _remove(words: Words, item: Mapping[str, Any], after: str) -> str:
    name = name_of(item)
    confirm = words("card.confirm", name=name)
    return button(words("card.delete"), "remove", id=item["id"], name=name, after=after, confirm=confirm)
