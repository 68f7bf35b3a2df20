"""Texts × images as a table whose cells are coloured by their cosine: it reads without colours too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from page.markup import text
from page.words import Words


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
    return (
        f'<div class="cr-scroll"><table class="cr-heat"><caption>{text(words("match.caption"))}</caption><thead><tr>'
        f'<th scope="col">{text(words("match.corner"))}</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _cell(words: Words, cosine: float, low: float, high: float, probability: float | None) -> str:
    heat = (cosine - low) / (high - low) if high > low else 0.5
    # Lightness falls with heat; below the middle white text would not be readable, above it black would not.
    ink = "#fff" if heat > 0.5 else "#111"
    style = f"background:hsl(215 75% {95 - 65 * heat:.0f}%);color:{ink}"
    title = "" if probability is None else f' title="{text(words("match.probability", value=f"{probability:.3f}"))}"'
    return f'<td style="{style}"{title}>{cosine:.3f}</td>'
