"""A contact sheet: search answers as one HTML file that needs nothing else, no script and no network.

Pictures are inlined as data URIs; whatever came from a user or a server is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from cluster.errors import ApiError

if TYPE_CHECKING:
    from cluster.client import Client
    from deployments.schemas.search import HitAnswer, SearchAnswer

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667080; --paper: #f6f7f9; --card: #fff; --line: #dfe3e8;
  --accent: #1f6feb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #98a2b0; --paper: #14171b; --card: #1e2329;
  --line: #323942; --accent: #6cb0ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 0; overflow-wrap: anywhere; }
section { margin-top: 2.5rem; }
.query { display: flex; gap: 1rem; align-items: center; }
.query img { max-height: 7rem; max-width: 10rem; border-radius: .5rem; border: 2px solid var(--accent); }
.note, footer { color: var(--soft); font-size: .875rem; }
.stages { display: flex; flex-wrap: wrap; gap: .25rem .9rem; padding: 0; margin: .35rem 0 0; list-style: none;
  color: var(--soft); font-size: .8125rem; font-variant-numeric: tabular-nums; }
.stages b { color: var(--ink); font-weight: 600; }
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; padding: 0;
  margin: 1rem 0 0; list-style: none; }
.hit { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; display: flex;
  flex-direction: column; }
.hit img { width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: var(--paper); display: block; }
.hit blockquote { margin: 0; padding: .75rem; font-size: .9375rem; overflow-wrap: anywhere; flex: 1; }
.hit .meta { padding: .5rem .75rem .6rem; font-size: .8125rem; color: var(--soft); overflow-wrap: anywhere; }
.score { font-variant-numeric: tabular-nums; color: var(--ink); font-weight: 600; }
.bar { height: 3px; background: var(--line); }
.bar i { display: block; height: 100%; background: var(--accent); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400; }
th:first-child { text-align: left; } thead th { color: var(--soft); font-size: .875rem; }
footer { overflow-wrap: anywhere; margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
"""


@dataclass(frozen=True, slots=True)
class SheetHit:
    """One answer; `thumbnail` is a data URI."""

    score: float | None
    """The cosine; None where words alone found it."""
    source: str = ""
    text: str | None = None
    thumbnail: str | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SheetSection:
    """One query with its answers. `query_image` is a data URI, `timings_ms` the server's stages."""

    title: str
    hits: Sequence[SheetHit]
    query_image: str | None = None
    note: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)


def data_uri(content: bytes, mime: str) -> str:
    """The bytes as something an `<img>` can show by itself."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def render_page(title: str, intro: str, body: str, footer: str) -> str:
    """A whole self-contained page. `body` is HTML; the other arguments are text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><header><h1>{escape(title)}</h1>"
        f'<p class="note">{escape(intro)}</p></header>\n{body}\n<footer>{escape(footer)}</footer></body></html>\n'
    )


def render_sheet(title: str, intro: str, sections: Sequence[SheetSection], footer: str = "Made by Crossray.") -> str:
    """The contact sheet of one or several searches."""
    return render_page(title, intro, render_sections(sections), footer)


def render_sections(sections: Sequence[SheetSection]) -> str:
    """The sections alone, as HTML for `render_page`."""
    return "\n".join(map(_section, sections))


def _section(section: SheetSection) -> str:
    picture = f'<img src="{escape(section.query_image)}" alt="the query">' if section.query_image else ""
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    hits = "".join(_hit(rank, hit) for rank, hit in enumerate(section.hits, 1))
    answers = f'<ol class="hits">{hits}</ol>' if hits else '<p class="note">Nothing was found.</p>'
    return (
        f'<section><div class="query">{picture}<div><h2>{escape(section.title)}</h2>{note}'
        f"{_stages(section.timings_ms)}</div></div>{answers}</section>"
    )


def _stages(timings_ms: Mapping[str, float]) -> str:
    if not timings_ms:
        return ""
    items = "".join(f"<li>{escape(name)} <b>{ms:.1f} ms</b></li>" for name, ms in timings_ms.items())
    return f'<ul class="stages">{items}</ul>'


def _hit(rank: int, hit: SheetHit) -> str:
    picture = f'<img src="{escape(hit.thumbnail)}" alt="{escape(hit.source)}" loading="lazy">' if hit.thumbnail else ""
    text = f"<blockquote>{escape(hit.text)}</blockquote>" if hit.text else ""
    tags = f" · {escape(', '.join(hit.tags))}" if hit.tags else ""
    width = max(0.0, min(1.0, hit.score or 0.0)) * 100
    score = "" if hit.score is None else f"{hit.score:.3f}"
    return (
        f'<li class="hit">{picture}{text}<div class="bar"><i style="width:{width:.1f}%"></i></div>'
        f'<div class="meta">{rank}. <span class="score">{score}</span> {escape(hit.source)}{tags}</div></li>'
    )


def sheet_hits(client: Client, answer: SearchAnswer) -> list[SheetHit]:
    """The answers as a contact sheet shows them, thumbnails fetched from the server."""
    return [SheetHit(hit.score, hit.source, hit.text, _thumbnail(client, hit), hit.tags or ()) for hit in answer.hits]


def _thumbnail(client: Client, hit: HitAnswer) -> str | None:
    if hit.thumbnail_url is None:
        return None
    try:
        media = client.thumbnail(hit.id)
    except ApiError:
        # Deleted since it was found, or its file is gone: the sheet still shows the rest.
        return None
    return data_uri(media.content, media.mime)
