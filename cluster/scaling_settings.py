"""The branch of the settings tree that says how the number of an encoder's replicas follows its load."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from cluster.section import Section


class DrainSettings(Section):
    """By the cost (visual and text tokens) that arrives and that waits; docs/autoscaling.md has the measurements."""

    start_s: float = Field(
        60,
        ge=0,
        description="From the order of a replica until it serves: its pod, its process, its model. Replicas are "
        "ordered for what will wait then.",
    )
    drain_s: float = Field(
        4, gt=0, description="What waits when ordered replicas are ready is to be gone after so many seconds."
    )
    bulk_drain_s: float = Field(120, gt=0, description="Likewise of the bulk lane, from now on: nobody waits for it.")
    utilization: float = Field(
        0.93, gt=0, le=1, description="Share of what the replicas can do that arriving work may take."
    )
    service_per_s: float | None = Field(
        None, gt=0, description="Cost a second that one replica does with full batches; null: as it measures itself."
    )

    def policy_kwargs(self, shrink_after_s: float) -> dict[str, Any]:
        """Those of `deployments.autoscaling.EncoderPolicy`."""
        return self.model_dump() | {"shrink_after_s": shrink_after_s}
