"""Whether settings can run in pods at all, and whether their replicas find room there."""

from __future__ import annotations

from collections import Counter
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
        "ray.ingress is direct, which listens in one process only: set it to proxy": settings.ray.ingress == "direct",
        "http.host is loopback, where no other pod gets through: set it to 0.0.0.0": settings.http.host
        in ("127.0.0.1", "localhost", "::1"),
        f"index.backend is {settings.index.backend} without a server: use milvus with index.uri": settings.index.uri
        is None
        or settings.index.backend != "milvus",
        "database.url is null, a file of one machine: name a PostgreSQL, or set jobs.enabled to false": (
            settings.jobs.enabled and settings.database.url is None
        ),
        "cache.backend is sqlite, a file of one machine: use redis or none": settings.cache.backend == "sqlite",
    }
    for fault, present in faults.items():
        if present:
            raise SettingsError(f"not for a cluster of pods: {fault}")
    settings.require_checkpoints()


def replica_scales(settings: Settings) -> dict[str, ScaleSettings]:
    """The scale of every deployment under these settings, by its path in the tree."""
    served = {path: model.scale for path, model in settings.served_models.items()}
    served |= {"http": settings.http.scale, "index": settings.index.scale, "maintenance": settings.maintenance_scale}
    if settings.ocr.enabled:
        served["ocr"] = ScaleSettings(num_cpus=settings.ocr.num_cpus)
    if settings.jobs.enabled and settings.jobs.worker == "replicas":
        served["jobs"] = settings.jobs.scale
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
    scales = replica_scales(settings)
    rooms = [_Room(group.gpus, group.cpu) for group in pods.workers for _ in range(getattr(group, f"{bound}_pods"))]
    wanted = [
        (scale.num_gpus, scale.num_cpus, path)
        for path, scale in scales.items()
        for _ in range(getattr(scale, f"{bound}_replicas"))
    ]
    for gpus, cpus, path in sorted(wanted, reverse=True):
        # A replica without a GPU goes where there is none while it can, as Ray's scheduler does.
        smallest_first = sorted(rooms, key=lambda room: (room.gpus, room.cpus))
        if not any(room.took(path, scales[path]) for room in smallest_first):
            apart = scales[path].max_replicas_per_node
            raise SettingsError(
                f"{path}.scale: with {bound}_replicas everywhere, one of {cpus:g} cores and {gpus:g} GPUs finds "
                f"no room in the workers' {bound}_pods{f', {apart} to a pod' if apart else ''}: raise them in "
                "pods.yaml, or lower the replicas"
            )


class _Room:
    """What is left of a pod."""

    def __init__(self, gpus: float, cpus: float) -> None:
        self.gpus, self.cpus = gpus, cpus
        self._replicas: Counter[str] = Counter()

    def took(self, path: str, scale: ScaleSettings) -> bool:
        """One more replica of the deployment at `path`; False where there is no room for it."""
        if scale.num_gpus > self.gpus + _ROUNDING or scale.num_cpus > self.cpus + _ROUNDING:
            return False
        if scale.max_replicas_per_node is not None and self._replicas[path] >= scale.max_replicas_per_node:
            return False
        self.gpus -= scale.num_gpus
        self.cpus -= scale.num_cpus
        self._replicas[path] += 1
        return True
