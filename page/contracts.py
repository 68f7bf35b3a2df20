"""What runs and whether it is well, for the tab Status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from page.markup import facts, note, text
from page.words import Words


def status_view(words: Words, health: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> str:
    """`/health/ready` and `/v1/models`, whole."""
    state = health["status"]
    about: list[tuple[str, object]] = [
        (words("status.encoder"), health.get("encoder") or "–"),
        (words("status.index"), health.get("index") or "–"),
        (words("status.count"), "–" if health.get("count") is None else health["count"]),
    ]
    said = words(f"status.{state}") + (f": {health['detail']}" if health.get("detail") else "")
    parts = [
        f"<h3>{text(words('status.health'))}</h3>",
        note(said, "plain" if state == "ok" else "fault"),
        facts(about),
    ]
    parts.append(f"<h3>{text(words('status.models'))}</h3>")
    parts += [_model(words, model) for model in models]
    return "".join(parts)


def _model(words: Words, model: Mapping[str, Any]) -> str:
    about: list[tuple[str, object]] = [
        (words("status.dimensions"), ", ".join(map(str, model["dimensions"]))),
        (words("status.modalities"), ", ".join(model["modalities"])),
        (words("status.languages"), ", ".join(model["languages"])),
        (words("embedding.fingerprint"), model["fingerprint"]),
    ]
    contract = facts(list(model["contract"].items()))
    return (
        f'<section class="cr-model"><h4>{text(model["id"])}</h4><p>{text(model["description"])}</p>{facts(about)}'
        f"<details><summary>{text(words('status.contract'))}</summary>{contract}</details></section>"
    )
