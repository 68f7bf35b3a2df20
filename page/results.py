"""What a search found, as HTML: how good it is, what was asked in place of the words, and the hits as cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from page.api import DEFAULT
from page.cards import Item, card, name_of
from page.markup import button, note, text
from page.words import Words

Answer = Mapping[str, Any]


def search_results(words: Words, answer: Answer, like: str = "", collection: str = DEFAULT) -> str:
    """The hits with their scores and the time of each stage; `like` names the item that was asked about.

    An answer without hits is for `no_hits`.
    """
    hits: Sequence[Item] = answer["hits"]
    cards = "".join(card(words, hit, _more(words, hit), _scores(words, hit), collection) for hit in hits)
    heading = f'<h2 class="cr-hidden">{text(words("search.results"))}</h2>'
    return f'{_summary(words, answer, like)}{_verdict(words, answer)}{heading}<ol class="cr-cards">{cards}</ol>'


def no_hits(words: Words, asked: Mapping[str, Any], indexed: int) -> str:
    """Why there are none: nothing is indexed at all, or none of it is what `asked`, the API's fields, wants."""
    if indexed == 0:
        return note(words("search.nothing_indexed"))
    why = "filtered" if asked.get("filter") else ""
    key = "search.no_words" if asked.get("mode") == "text" and not why else "search.no_hits" + (why and f"_{why}")
    return note(words(key, count=indexed))


def _summary(words: Words, answer: Answer, like: str) -> str:
    timings = answer["timings_ms"]
    said = words("search.hits", count=len(answer["hits"]), total=f"{timings['total']:.1f}")
    if like:
        said = words("search.like", name=like) + said
    if answer.get("rewritten_query"):
        said += " · " + words("search.rewritten", query=answer["rewritten_query"])
    stages = " · ".join(f"{words.stage(name)} {ms:.1f}" for name, ms in timings.items() if name != "total")
    return f'<p class="cr-note" role="status">{text(said)} <span class="cr-stages">({text(stages)})</span></p>'


def _verdict(words: Words, answer: Answer) -> str:
    """Whether anything found is likely what was asked for, as far as the API knows. Its reasons are in English."""
    nothing, reason = answer.get("nothing_relevant"), answer.get("relevance_reason", "")
    if nothing is False or not (nothing or reason):
        return ""
    said = words("search.nothing_relevant" if nothing else "search.relevance_unknown")
    kind = "cr-verdict cr-nothing" if nothing else "cr-verdict"
    why = f' <span class="cr-why">{text(words("search.why"))}: <span lang="en">{text(reason)}</span></span>'
    return f'<p class="{kind}" role="note">{text(said)}{why if reason else ""}</p>'


def _scores(words: Words, hit: Item) -> str:
    """The cosine, which a search by words has none of, and what else found or judged the hit."""
    scores = []
    if hit["score"] is not None:
        title = text(words("card.score"))
        scores.append(
            f'<span class="cr-score" title="{title}">{hit["score"]:.4f}</span><span>{text(words("card.cosine"))}</span>'
        )
    if hit.get("relevance") is not None:
        percent = f"{100 * hit['relevance']:.0f}"
        scores.append(_chip(words("card.relevance", percent=percent), words("card.relevance.note"), "cr-relevance"))
    elif hit.get("background_percentile") is not None:
        percent = f"{hit['background_percentile']:.1f}"
        scores.append(_chip(words("card.percentile", percent=percent), words("card.percentile.note")))
    for name, figure in (("card.words", hit.get("text_score")), ("card.rerank", hit.get("rerank_score"))):
        if figure is not None:
            scores.append(f"<span>{text(words(name))} {figure:.3f}</span>")
    if hit.get("duplicates"):
        count = words("card.duplicates", count=len(hit["duplicates"]))
        scores.append(_chip(count, ", ".join(hit["duplicates"]), "cr-duplicates"))
    return f'<p class="cr-scores">{" ".join(scores)}</p>'


def _chip(said: str, title: str, kind: str = "") -> str:
    return f'<span class="cr-chip {kind}" title="{text(title)}">{text(said)}</span>'


def _more(words: Words, hit: Item) -> str:
    return button(words("card.more"), "more", id=hit["id"], name=name_of(hit))
