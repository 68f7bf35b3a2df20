"""The Ray underneath."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cluster.section import Section


class RaySettings(Section):
    """The Ray underneath."""

    ingress: Literal["direct", "proxy", "haproxy"] = Field(
        "direct",
        description="`direct`: the one ingress replica listens itself, the cheapest way on one machine. "
        "`proxy`: Serve's proxies listen, on every node, before any number of ingress replicas. "
        "`haproxy`: an HAProxy on every node in their place, for less than half of their work; it listens on every "
        "interface, so it is for pods and network namespaces.",
    )
    num_cpus: float = Field(2, gt=0, description="Logical cores of the local cluster.")
    object_store_bytes: int = Field(128 << 20, ge=80 << 20, description="Shared memory of the local cluster.")
    dashboard: bool = Field(False, description="Start Ray's dashboard.")
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port of the local cluster's metrics, for a Prometheus; null: any free one."
    )
    control_loop_s: float = Field(
        0.5,
        gt=0,
        description="Pause between Serve's looks at its replicas. At its own 0.1 they start and stop sooner, and an "
        "idle cluster takes 0.03 cores more.",
    )
