"""What a replica that runs a model is told, whichever kind of model it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployments.batch_queue import BatchLimits


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model of the registry, with which options, how it batches and where it prepares."""

    name: str
    options: dict[str, Any]
    limits: BatchLimits
    prepare_workers: int = 2
    prepare_in_processes: bool = False
