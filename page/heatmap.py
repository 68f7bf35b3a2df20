"""Texts × images as a table whose cells are coloured by their cosine: it reads without colours too."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from page.markup import scrolled, text
from page.words import Words

Colour = tuple[int, int, int]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
LAST_BLACK_ON = 0.67
"""Between black ink and white at this heat the contrast is at least 4.5, which WCAG 2.2 asks for."""


@dataclass(frozen=True, slots=True)
class Column:
    """One image of the map: its name, and where the browser finds it."""

    name: str
    url: str


def heat_map(words: Words, texts: Sequence[str], columns: Sequence[Column], answer: Mapping[str, Any]) -> str:
    """`answer` is `POST /v1/match`'s: `cosine[i][j]` is text i against image j. Colours span its least to its most."""
    cosines: Sequence[Sequence[float]] = answer["cosine"]
    probabilities = answer.get("probability")
    values = [value for row in cosines for value in row]
    low, high = min(values), max(values)
    head = "".join(
        f'<th scope="col"><img src="{text(column.url)}" alt="">{text(column.name)}</th>' for column in columns
    )
    rows = ""
    for line, (label, row) in enumerate(zip(texts, cosines, strict=True)):
        cells = "".join(
            _cell(words, value, low, high, None if probabilities is None else probabilities[line][place])
            for place, value in enumerate(row)
        )
        rows += f'<tr><th scope="row">{text(label)}</th>{cells}</tr>'
    caption = words("match.caption")
    table = (
        f'<table class="cr-heat"><caption>{text(caption)}</caption><thead><tr>'
        f'<th scope="col">{text(words("match.corner"))}</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
    return scrolled(caption, table)


def colours(heat: float) -> tuple[Colour, Colour]:
    """Paper and ink for a heat in 0…1, from nearly white to dark blue; black ink while the paper is light enough."""
    red, green, blue = colorsys.hls_to_rgb(215 / 360, 0.95 - 0.65 * heat, 0.75)
    paper = (round(255 * red), round(255 * green), round(255 * blue))
    return paper, WHITE if heat > LAST_BLACK_ON else BLACK


def _cell(words: Words, cosine: float, low: float, high: float, probability: float | None) -> str:
    heat = (cosine - low) / (high - low) if high > low else 0.5
    paper, ink = colours(heat)
    title = "" if probability is None else f' title="{text(words("match.probability", value=f"{probability:.3f}"))}"'
    return f'<td style="background:rgb{paper};color:rgb{ink}"{title}>{cosine:.3f}</td>'
