"""Ids drawn at random, by the server where it can, else here out of a walk."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from typing import Any, Protocol

WALKED_IDS = 50_000
"""Where the server cannot draw, it is drawn from so many ids from the first on. Ids that are hashes, as they are where
the caller gives none, stand in no order of content, so that these are as good as all."""
DRAWN = 1.5
"""More than is wanted, for the server draws about as many as it is told, and no more than 16,384 may come back."""


class Read(Protocol):
    """A query of the collection: an expression and the fields to answer with."""

    def __call__(self, expression: str, fields: list[str]) -> list[dict[str, Any]]: ...


def sample_ids(read: Read, walk: Iterable[str], limit: int, *, can_draw: bool) -> list[str]:
    """Up to `limit` ids. `walk` yields all of them; `can_draw` where the server knows RANDOM_SAMPLE."""
    ids = (_draw(read, limit) if can_draw else None) or list(islice(walk, WALKED_IDS))
    return random.sample(ids, min(limit, len(ids)))


def _draw(read: Read, limit: int) -> list[str] | None:
    """None where a walk does as well."""
    count = int(read("", ["count(*)"])[0]["count(*)"])
    if count <= DRAWN * limit:
        return None
    ids = [row["id"] for row in read(f"RANDOM_SAMPLE({DRAWN * limit / count:.9f})", ["id"])]
    return ids if len(ids) >= limit else None
