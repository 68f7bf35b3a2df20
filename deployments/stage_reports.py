"""What each stage of a search says of itself in the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

StageName: TypeAlias = Literal["dense", "text", "rerank"]


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a stage of a search did. `reason` says why it did not, or what was left out."""

    name: StageName
    did: Literal["searched", "reranked", "skipped"]
    ms: float
    depth: int
    """Hits that it looked at."""
    reason: str = ""


def ms_since(started: float) -> float:
    """Milliseconds since that reading of `time.perf_counter`."""
    return round((time.perf_counter() - started) * 1000, 3)
