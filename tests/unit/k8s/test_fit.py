"""What the renderer counts is what the builder deploys, and whether it fits is said before a cluster finds out."""

from __future__ import annotations

from collections import Counter

import pytest

from cluster.errors import SettingsError
from cluster.manifests.fit import replica_scales, require_runnable
from cluster.manifests.pods import Pods
from cluster.settings import load_settings

EVERYTHING = {
    "CROSSRAY_OCR__ENABLED": "1",
    "CROSSRAY_RERANK__ENABLED": "1",
    "CROSSRAY_RERANK__OPTIONS": '{"model": "some/reranker"}',
    "CROSSRAY_QUERIES__STRUCTURER__ENABLED": "1",
    "CROSSRAY_QUERIES__STRUCTURER__OPTIONS": '{"model": "some/structurer"}',
    "CROSSRAY_OTHER_ENCODERS": '[{"name": "dual-tower", "options": {"model": "some/clip"}}]',
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("everything", [False, True])
def test_every_deployment_of_the_builder_is_counted(everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve._private.build_app import build_app as flatten

    from cluster.app import build_app

    for name, value in EVERYTHING.items() if everything else ():
        monkeypatch.setenv(name, value)
    settings = load_settings("kubernetes")
    built = [deployment.ray_actor_options for deployment in flatten(build_app(settings), name="crossray").deployments]
    counted = replica_scales(settings).values()
    assert Counter((options["num_cpus"], options.get("num_gpus", 0)) for options in built) == Counter(
        (scale.num_cpus, scale.num_gpus) for scale in counted
    )
    assert len(built) == (8 if everything else 4)


def pods(**worker: int) -> Pods:
    sizes = {"name": "worker", "cpu": 4, "memory_gib": 8, "min_pods": 1, "max_pods": 1}
    return Pods.model_validate(
        {
            "profile": "kubernetes",
            "image": "crossray:1",
            "head": {"cpu": 1, "memory_gib": 4},
            "workers": [sizes | worker],
        }
    )


def test_a_replica_is_not_torn_between_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six cores in two pods of three have no room for two replicas of two cores, and the rest."""
    monkeypatch.setenv("CROSSRAY_ENCODER__SCALE", '{"min_replicas": 2, "max_replicas": 2, "num_cpus": 2.5}')
    monkeypatch.setenv("CROSSRAY_INDEX__SCALE", '{"min_replicas": 1, "max_replicas": 1, "num_cpus": 1}')
    settings = load_settings("kubernetes")
    with pytest.raises(SettingsError, match=r"index\.scale"):
        require_runnable(settings, pods(cpu=3, min_pods=2, max_pods=2))
    require_runnable(settings, pods(cpu=4, min_pods=2, max_pods=2))


def test_replicas_that_go_apart_need_as_many_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__SCALE__MAX_REPLICAS_PER_NODE", "1")  # of which there are up to three
    settings = load_settings("kubernetes")
    with pytest.raises(SettingsError, match=r"http\.scale: with max_replicas .* max_pods, 1 to a pod"):
        require_runnable(settings, pods(min_pods=2, max_pods=2))
    require_runnable(settings, pods(min_pods=2, max_pods=3))


def test_the_object_store_leaves_half_of_a_pods_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_RAY__OBJECT_STORE_BYTES", str(4 << 30))
    with pytest.raises(SettingsError, match=r"ray\.object_store_bytes"):
        require_runnable(load_settings("kubernetes"), pods())
