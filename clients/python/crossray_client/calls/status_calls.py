"""What runs, and whether it is well."""

from __future__ import annotations

from crossray_client import readers
from crossray_client.answers import Health, Models, Status
from crossray_client.calls.call import Call


def models() -> Call[Models]:
    """The encoders that run."""
    return Call("GET", "/v1/models", readers.dataclass(Models))


def status() -> Call[Status]:
    """What the cluster does now: replicas, queue, throughput, cache hits."""
    return Call("GET", "/v1/status", readers.dataclass(Status), retried="never")


def health() -> Call[Health]:
    """Whether encoder and index answer, as the server sees it now: not an error where they do not."""
    accepts = frozenset({503})
    return Call("GET", "/health/ready", readers.dataclass(Health), retried="never", accepts=accepts)


def alive() -> Call[Health]:
    """Whether the server's process answers, whatever its parts do."""
    return Call("GET", "/health/live", readers.dataclass(Health), retried="never")
