"""The branch of the settings tree for the canary of collections."""

from __future__ import annotations

from pydantic import Field

from cluster.section import Section


class CanarySettings(Section):
    """Recall@10 of the live indexes, measured against exact search on a sample and exported as a metric."""

    interval_s: float = Field(60, ge=0, description="Pause between two rounds through the collections; 0 for none.")
    queries: int = Field(16, ge=1, le=256, description="Searches of one look: half of them were asked for lately.")
    rows_per_s: float = Field(5_000, gt=0, description="Pace of the exact search, which reads every row.")
