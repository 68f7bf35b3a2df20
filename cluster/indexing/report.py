"""What a run of `crossray index` did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that was not indexed, and why."""

    source: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """What a run did. `skipped` were there already, or came twice; `remembered` of them an earlier run had done."""

    indexed: int = 0
    skipped: int = 0
    remembered: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return self.indexed + self.skipped + len(self.failed)

    @property
    def per_second(self) -> float:
        """Items handled a second by this run, skipped ones included."""
        return (self.total - self.remembered) / self.seconds if self.seconds > 0 else 0.0
