"""A map as SVG: a dot each, a star for the query. The dot under the mouse or the arrow keys says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from page.api import DEFAULT
from page.cards import Item, name_of
from page.markup import image_url, text
from page.projection import Matrix
from page.words import Words

WIDTH, HEIGHT, MARGIN = 1000, 620, 30
DOT, LEAST_DOT, NEAR_DOT = 5.0, 3.0, 9.0
ROOMY = 500
"""Up to so many dots are of the full size; more share the same area, down to LEAST_DOT, or they hide each other."""
MAX_NAME_CHARS = 120
STAR = "M0-15L4-5 14-5 6 2 9 12 0 6-9 12-6 2-14-5-4-5Z"

MAP_JS = """
const dots = () => [...element.querySelectorAll('.cr-map .cr-dot')];
const place = (dot) => [Number(dot.getAttribute('cx')), Number(dot.getAttribute('cy'))];
const REACH_PX = 12;
// By its centre, not by what is drawn on top: of thousands most lie under others.
const dotAt = (event) => {
  const svg = event.target.closest('.cr-map svg');
  if (!svg) return null;
  const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
  const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
  let best = null, least = REACH_PX * scale;
  for (const dot of dots()) {
    const [a, b] = place(dot), away = Math.hypot(a - x, b - y);
    if (away <= least) { least = away; best = dot; }
  }
  return best;
};
const show = (dot) => {
  const map = dot.closest('.cr-map');
  map.querySelectorAll('.cr-shown').forEach((one) => one.classList.remove('cr-shown'));
  dot.classList.add('cr-shown');
  const tip = map.querySelector('.cr-tip');
  const picture = tip.querySelector('img');
  const small = dot.dataset.thumbnail || '';
  picture.hidden = !small;
  if (small) { picture.src = small; picture.alt = dot.dataset.name; } else { picture.removeAttribute('src'); }
  tip.querySelector('p').textContent = dot.dataset.name;
  tip.hidden = false;
  const box = map.getBoundingClientRect(), spot = dot.getBoundingClientRect();
  const left = Math.min(Math.max(spot.left - box.left + 14, 0), box.width - tip.offsetWidth);
  const below = spot.bottom - box.top + 8;
  const top = below + tip.offsetHeight > box.height ? spot.top - box.top - tip.offsetHeight - 8 : below;
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(top, 0)}px`;
};
const hide = () => element.querySelectorAll('.cr-tip').forEach((tip) => { tip.hidden = true; });
const point = (event) => {
  const dot = dotAt(event);
  if (dot && !(dot.classList.contains('cr-shown') && element.querySelector('.cr-tip:not([hidden])'))) show(dot);
};
element.addEventListener('pointerover', point);
element.addEventListener('pointermove', point);
element.addEventListener('pointerleave', hide);
element.addEventListener('focusout', hide);
const open = (dot) => { if (dot && dot.dataset.image) window.open(dot.dataset.image, '_blank', 'noopener'); };
element.addEventListener('click', (event) => open(dotAt(event)));
const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
element.addEventListener('keydown', (event) => {
  if (!event.target.classList.contains('cr-map')) return;
  const shown = element.querySelector('.cr-shown');
  if (event.key === 'Escape') { hide(); return; }
  if (event.key === 'Enter') { open(shown); return; }
  if (!(event.key in steps)) return;
  event.preventDefault();
  const all = dots(), from = all.indexOf(shown);
  if (!shown) { show(all.find((dot) => dot.classList.contains('cr-near')) || all[0]); return; }
  const [x, y] = place(shown), [dx, dy] = steps[event.key];
  let best = null, least = Infinity;
  for (const [at, dot] of all.entries()) {
    const [a, b] = place(dot), along = (a - x) * dx + (b - y) * dy;
    const across = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
    // Items with one vector have one place: they are gone through in turn, or only the first could be reached.
    const next = along > 0 || (a === x && b === y && at > from);
    if (next && along + 2 * across < least) { least = along + 2 * across; best = dot; }
  }
  if (best) show(best);
});
"""
"""For `gr.HTML(js_on_load=…)`: what is under the mouse, or was reached by the arrow keys, shows with its picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where items are on the map: `items[i]` at row i of `places` `(n, 2)`; `query` `(2,)` or None."""

    items: Sequence[Item]
    places: Matrix
    query: Matrix | None = None
    near: frozenset[str] = frozenset()
    """Ids of the items that are nearest to the query."""
    collection: str = DEFAULT


def map_view(words: Words, places: Places) -> str:
    """The map with its legend. What is near the query is drawn last, above the others."""
    spots = _to_pixels(places)
    order = sorted(range(len(places.items)), key=lambda row: places.items[row]["id"] in places.near)
    radius = max(LEAST_DOT, DOT * min(1.0, (ROOMY / len(order)) ** 0.5))
    dots = "".join(_dot(places, row, spots[row], radius) for row in order)
    star = ""
    if places.query is not None:
        x, y = spots[-1]
        star = f'<path class="cr-star" d="{STAR}" transform="translate({x:.1f} {y:.1f})"/>'
    label = text(words("map.label", shown=len(places.items)))
    return (
        f'<div class="cr-map" role="application" tabindex="0" aria-label="{label}">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{dots}{star}</svg>'
        '<div class="cr-tip" role="status" hidden><img alt="" hidden><p></p></div></div>'
        f'<p class="cr-hint">{text(words("map.hint"))} {_legend(words, places)}</p>'
    )


def _dot(places: Places, row: int, spot: Matrix, radius: float) -> str:
    item = places.items[row]
    near = item["id"] in places.near
    images = ""
    if item.get("thumbnail_url"):
        small, full = (image_url(item["id"], size, places.collection) for size in ("thumbnail", "image"))
        images = f' data-thumbnail="{text(small)}" data-image="{text(full)}"'
    return (
        f'<circle class="cr-dot cr-dot-{text(item["kind"])}{" cr-near" if near else ""}" cx="{spot[0]:.1f}" '
        f'cy="{spot[1]:.1f}" r="{NEAR_DOT if near else radius:.1f}" data-id="{text(item["id"])}" '
        f'data-name="{text(name_of(item)[:MAX_NAME_CHARS])}"{images}/>'
    )


def _legend(words: Words, places: Places) -> str:
    kinds = sorted({str(item["kind"]) for item in places.items})
    marks = [(f"cr-dot-{kind}", words(f"map.kind.{kind}")) for kind in kinds]
    marks += [("cr-near", words("map.kind.near"))] if places.near else []
    marks += [("cr-star", words("map.kind.query"))] if places.query is not None else []
    return " ".join(
        f'<span class="cr-mark"><svg viewBox="-16 -16 32 32" aria-hidden="true">{_mark(kind)}</svg>{text(said)}</span>'
        for kind, said in marks
    )


def _mark(kind: str) -> str:
    return f'<path class="{kind}" d="{STAR}"/>' if kind == "cr-star" else f'<circle class="cr-dot {kind}" r="11"/>'


def _to_pixels(places: Places) -> Matrix:
    """Every place, the query's last, inside the picture; y goes up. Both directions have one scale: distances hold."""
    rows = places.places if places.query is None else np.vstack([places.places, places.query])
    low, high = rows.min(axis=0), rows.max(axis=0)
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN], dtype=np.float32)
    spans = np.maximum(high - low, 1e-9)
    scale = float((room / spans).min())
    centred = (rows - (low + high) / 2) * scale
    spots: Matrix = centred * np.array([1, -1], dtype=np.float32) + np.array([WIDTH / 2, HEIGHT / 2], np.float32)
    return spots
