"""What a fault was to the clients: which searches failed and when, the longest stall, which writes are gone.

Moments are seconds of one monotonic clock.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Search:
    """One search of one client."""

    client: int
    began_s: float
    ended_s: float
    fault: str = ""
    """What came in place of the right answer; empty where that came."""


@dataclass
class Writes:
    """What the writers were told. An id is in neither where its last write was not acknowledged."""

    kept: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    """What came in place of an acknowledgement."""

    def lost(self, stored: Sequence[str]) -> int:
        """Ids whose acknowledged upload is not among the stored, and those whose acknowledged delete is undone."""
        there = set(stored)
        return len(self.kept - there) + len(self.deleted & there)


@dataclass(frozen=True, slots=True)
class Outage:
    """One fault, as its clients saw it."""

    searches: int
    failed: int
    last_failed_began_s: float | None
    """Of the failed searches, when the last one began, counted from the fault; None where none failed."""
    stall_s: float
    """The longest that one client was without an answer, of the times that end after the fault."""
    stall_ended_s: float
    """When it ended, counted from the fault: soon after it, or while another part was started in its place."""
    stall_before_s: float
    """The longest of those that end before it: what this machine does without one."""
    faults: dict[str, int]
    """The first words of what came in place of answers, and how often."""


def outage(searches: Iterable[Search], at_s: float, until_s: float) -> Outage:
    """Of a fault `at_s` in a load that was stopped `until_s`. A client that still waits then stalls until then."""
    ordered = sorted(searches, key=lambda search: search.ended_s)
    failed = [search for search in ordered if search.fault]
    answered: dict[int, list[float]] = {}
    for search in ordered:
        times = answered.setdefault(search.client, [search.began_s])
        if not search.fault:
            times.append(search.ended_s)
    gaps = [pair for times in answered.values() for pair in itertools.pairwise([*times, max(until_s, times[-1])])]
    worst = _longest([gap for gap in gaps if gap[1] > at_s], at_s)
    return Outage(
        searches=len(ordered),
        failed=len(failed),
        last_failed_began_s=round(max(search.began_s for search in failed) - at_s, 2) if failed else None,
        stall_s=_length(worst),
        stall_ended_s=round(worst[1] - at_s, 2),
        stall_before_s=_length(_longest([gap for gap in gaps if gap[1] <= at_s], at_s)),
        faults=first_words(search.fault for search in failed),
    )


def first_words(faults: Iterable[str]) -> dict[str, int]:
    """The most frequent, and how often."""
    return dict(Counter(fault[:120] for fault in faults).most_common(5))


def _longest(gaps: Sequence[tuple[float, float]], at_s: float) -> tuple[float, float]:
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=(at_s, at_s))


def _length(gap: tuple[float, float]) -> float:
    return round(gap[1] - gap[0], 2)
