"""Ray Data's own actors, which outlive a run by design: each would keep 90 MB until the cluster goes down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.writers_lock import WritersLock

NAMESPACES = frozenset(
    {
        "AutoscalingCoordinator",
        "ActorLocationTracker",
        "_dataset_stats_actor",
        "_dataset_stats_summary_actor",
        "DataUsageCollectionActor",
    }
)


@contextmanager
def data_actors(lock_path: Path) -> Iterator[None]:
    """Ends those that came up inside the block, unless another run on this machine uses them still."""
    before = set(_running())
    lock = WritersLock(lock_path)
    lock.share()
    try:
        yield
    finally:
        lock.release()
        with lock.alone() as alone:
            if alone:
                _end(set(_running()) - before)


def _running() -> list[tuple[str, str]]:
    from ray.util import list_named_actors

    found = list_named_actors(all_namespaces=True)
    return [(actor["name"], actor["namespace"]) for actor in found if actor["namespace"] in NAMESPACES]


def _end(actors: set[tuple[str, str]]) -> None:
    import ray

    for name, namespace in actors:
        try:
            ray.kill(ray.get_actor(name, namespace), no_restart=True)
        except ValueError:  # gone by itself
            continue
