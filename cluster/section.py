"""What every branch of the settings tree is made of, and the one that all deployments have."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Base of the tree's branches."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScaleSettings(Section):
    """How many replicas, and what each reserves of a node."""

    min_replicas: int = Field(1, ge=0, description="Replicas that always run.")
    max_replicas: int = Field(1, ge=1, description="Replicas at the most; above min_replicas, autoscaling is on.")
    target_ongoing_requests: float = Field(
        4, gt=0, description="Calls a replica should have under way; of an encoder, `drain` decides instead."
    )
    control_s: float = Field(5, gt=0, description="How often the load is reported, and replicas are ordered.")
    grow_after_s: float = Field(
        0, ge=0, description="Replicas are added when more were needed for so long; of an encoder at once."
    )
    shrink_after_s: float = Field(120, ge=0, description="Replicas go when fewer were enough for so long.")
    max_ongoing_requests: int = Field(256, ge=1, description="Calls a replica takes before callers wait.")
    max_replicas_per_node: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Replicas on one node at the most: with 1 no two go with the same node, and one waits that finds "
        "no other. null: as they fit.",
    )
    preferred_labels: dict[str, str] = Field(
        {},
        description="Labels of the Ray nodes that replicas go to; others take them where none of those can. Such as "
        "role: worker, for nodes that were started with `ray start --labels=role=worker`.",
    )
    health_check_s: float = Field(
        2,
        gt=0,
        description="How often Serve looks after a replica: one that died is missed after so long at the most. Serve's "
        "own is 10.",
    )
    num_cpus: float = Field(0.2, ge=0, description="Cores a replica reserves; a fraction, so that two cores suffice.")
    num_gpus: float = Field(0, ge=0, description="GPUs a replica reserves.")
    sleep_after_s: float = Field(300, ge=0, description="With min_replicas 0: the last one goes after so long idle.")

    @model_validator(mode="after")
    def _in_order(self) -> ScaleSettings:
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas is {self.min_replicas}, more than max_replicas {self.max_replicas}")
        return self
