"""Whether settings can run in pods at all, and whether their replicas find room there."""

from __future__ import annotations

from typing import Literal

from cluster.errors import SettingsError
from cluster.manifests.pod_template import shm_bytes
from cluster.manifests.pods import Pods
from cluster.section import ScaleSettings
from cluster.settings import Settings

_ROUNDING = 1e-9
"""Replicas reserve fractions, and ten tenths must fit one."""


def require_runnable(settings: Settings, pods: Pods) -> None:
    """Raises SettingsError, naming the field, for settings of one machine and for replicas that find no room."""
    _require_shareable(settings)
    _require_memory(settings, pods)
    _require_room(settings, pods, "min")
    _require_room(settings, pods, "max")


def _require_shareable(settings: Settings) -> None:
    """What several pods cannot share must not be chosen."""
    faults = {
        "ray.ingress is direct, which listens in one process only: set it to proxy": settings.ray.ingress != "proxy",
        "http.host is loopback, where no other pod gets through: set it to 0.0.0.0": settings.http.host
        in ("127.0.0.1", "localhost", "::1"),
        f"index.backend is {settings.index.backend} without a server: use milvus with index.uri": settings.index.uri
        is None
        or settings.index.backend != "milvus",
        "cache.backend is sqlite, a file of one machine: use redis or none": settings.cache.backend == "sqlite",
    }
    for fault, present in faults.items():
        if present:
            raise SettingsError(f"not for a cluster of pods: {fault}")
    settings.require_checkpoints()


def replica_scales(settings: Settings) -> dict[str, ScaleSettings]:
    """The scale of every deployment under these settings, by its path in the tree."""
    served = {path: model.scale for path, model in settings.served_models.items()}
    served |= {"http": settings.http.scale, "index": settings.index.scale}
    if settings.ocr.enabled:
        served["ocr"] = ScaleSettings(num_cpus=settings.ocr.num_cpus)
    return served


def _require_memory(settings: Settings, pods: Pods) -> None:
    """Shared memory counts as the pod's: beyond half of it, what replicas need of their own gets them killed."""
    smallest = min((pods.head, *pods.workers), key=lambda size: size.memory_gib)
    if shm_bytes(settings) > (smallest.memory_gib << 30) / 2:
        raise SettingsError(
            f"ray.object_store_bytes: {settings.ray.object_store_bytes} and its margin are more than half of a pod of "
            f"{smallest.memory_gib} GiB: lower it, or raise memory_gib in pods.yaml"
        )


def _require_room(settings: Settings, pods: Pods, bound: Literal["min", "max"]) -> None:
    """Places the fewest replicas into the fewest pods, or the most into the most; the largest first."""
    rooms: list[list[float]] = [
        [group.gpus, group.cpu] for group in pods.workers for _ in range(getattr(group, f"{bound}_pods"))
    ]
    wanted = [
        (scale.num_gpus, scale.num_cpus, path)
        for path, scale in replica_scales(settings).items()
        for _ in range(getattr(scale, f"{bound}_replicas"))
    ]
    for gpus, cpus, path in sorted(wanted, reverse=True):
        # A replica without a GPU goes where there is none while it can, as Ray's scheduler does.
        room = next(
            (room for room in sorted(rooms) if room[0] >= gpus - _ROUNDING and room[1] >= cpus - _ROUNDING), None
        )
        if room is None:
            raise SettingsError(
                f"{path}.scale: with {bound}_replicas everywhere, one of {cpus:g} cores and {gpus:g} GPUs finds "
                f"no room in the workers' {bound}_pods: raise them in pods.yaml, or lower the replicas"
            )
        room[0] -= gpus
        room[1] -= cpus
