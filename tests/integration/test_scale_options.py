"""From the settings of a scale to what Serve makes of them. Builds deployments, starts nothing."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.section import ScaleSettings

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments")  # importing ray.serve


class Replica:
    """Any class."""


def deployed(**scale: Any) -> Any:
    """Serve's own description of a deployment at this scale."""
    from cluster.deployment_options import deployment

    return deployment(Replica, "Replica", ScaleSettings(**scale))


def test_replicas_may_be_kept_apart() -> None:
    assert deployed()._replica_config.max_replicas_per_node is None
    assert deployed(max_replicas_per_node=1)._replica_config.max_replicas_per_node == 1


def test_replicas_may_prefer_nodes_and_still_go_anywhere() -> None:
    assert not {"label_selector", "fallback_strategy"} & set(deployed().ray_actor_options)
    options = deployed(preferred_labels={"role": "worker"}).ray_actor_options
    assert options["label_selector"] == {"role": "worker"}
    assert options["fallback_strategy"] == [{"label_selector": {}}]


def test_a_label_that_ray_does_not_know_how_to_read_is_refused() -> None:
    with pytest.raises(ValueError, match="label"):
        deployed(preferred_labels={"role": "-no-"})


def test_a_dead_replica_is_missed_sooner_than_by_default() -> None:
    assert deployed()._deployment_config.health_check_period_s == 2
    assert deployed(health_check_s=5)._deployment_config.health_check_period_s == 5
