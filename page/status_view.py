"""What runs, whether it is well and what it does now, for the tab Status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from page.markup import facts, note, scrolled, text
from page.words import Words

Answer = Mapping[str, Any]


def status_view(words: Words, health: Answer, models: Sequence[Answer], now: Answer) -> str:
    """`/health/ready`, `/v1/models` and `/v1/status`, whole."""
    state = health["status"]
    said = words(f"status.{state}") + (f": {health['detail']}" if health.get("detail") else "")
    about: list[tuple[str, object]] = [
        (words("status.encoder"), health.get("encoder") or "–"),
        (words("status.index"), health.get("index") or "–"),
        (words("status.count"), "–" if health.get("count") is None else health["count"]),
    ]
    parts = [_heading(words, "status.health"), note(said, "plain" if state == "ok" else "fault"), facts(about)]
    parts += [_heading(words, "status.now"), _now(words, now)]
    parts += [_heading(words, "status.models"), *(_model(words, model) for model in models)]
    return "".join(parts)


def _heading(words: Words, key: str) -> str:
    return f'<h2 class="cr-section">{text(words(key))}</h2>'


def _now(words: Words, now: Answer) -> str:
    about: list[tuple[str, object]] = []
    if now["queued"] is not None:
        about.append((words("status.queue"), words("status.queue.value", **now["queued"])))
    about.append((words("status.cache"), _cache(words, now["cache"])))
    calls = now["calls"]
    window = f"{now['window_s']:.0f}"
    parts = [facts(about)]
    if calls:
        rows: list[tuple[object, ...]] = [
            (one["operation"], f"{one['per_second']:.2f}", f"{one['mean_ms']:.1f} ms", one["errors"]) for one in calls
        ]
        heads = ("status.call", "status.rate", "status.mean", "status.errors")
        parts.append(_table(words, words("status.throughput", window=window), heads, rows))
    else:
        parts.append(note(words("status.no_calls", window=window)))
    if now["deployments"]:
        states = [(one["name"], one["state"], _replicas(one["replicas"])) for one in now["deployments"]]
        columns = ("status.part", "status.state", "status.replicas")
        parts.append(_table(words, words("status.parts"), columns, states))
    parts.append(f'<p class="cr-hint">{text(words("status.of_one"))}</p>')
    return "".join(parts)


def _cache(words: Words, cache: Answer | None) -> str:
    if cache is None:
        return words("status.cache.none")
    looked_up = sum(cache.values())
    percent = f"{100 * (cache['hit'] + cache['shared']) / looked_up:.0f}"
    return words("status.cache.value", percent=percent, looked_up=looked_up)


def _replicas(replicas: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state.lower()}" for state, count in sorted(replicas.items())) or "0"


def _table(words: Words, caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The first column names its row."""
    head = "".join(f'<th scope="col">{text(words(key))}</th>' for key in heads)
    body = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>{"".join(f"<td>{text(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    table = (
        f'<table class="cr-table"><caption>{text(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )
    return scrolled(caption, table)


def _model(words: Words, model: Mapping[str, Any]) -> str:
    about: list[tuple[str, object]] = [
        (words("status.dimensions"), ", ".join(map(str, model["dimensions"]))),
        (words("status.modalities"), ", ".join(model["modalities"])),
        (words("status.languages"), ", ".join(model["languages"])),
        (words("embedding.fingerprint"), model["fingerprint"]),
    ]
    contract = facts(list(model["contract"].items()))
    return (
        f'<section class="cr-model"><h3>{text(model["id"])}</h3><p>{text(model["description"])}</p>{facts(about)}'
        f"<details><summary>{text(words('status.contract'))}</summary>{contract}</details></section>"
    )
