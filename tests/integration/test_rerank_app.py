"""The builder with a reranker: when it may sleep, and what its replicas are told. Builds the graph, starts nothing."""

from __future__ import annotations

import pytest

from cluster.settings import load_settings


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_reranker_that_may_sleep() -> None:
    from cluster.app import build_app
    from cluster.app_options import ingress_options, reranker_options
    from cluster.deployment_options import scale_options

    settings = load_settings("qwen-rerank")
    options = scale_options(settings.rerank.scale)
    assert "num_replicas" not in options
    assert options["autoscaling_config"].min_replicas == 0
    assert options["autoscaling_config"].downscale_to_zero_delay_s == settings.rerank.scale.sleep_after_s
    assert reranker_options(settings).options["model"] == "Qwen/Qwen3-VL-Reranker-2B"
    assert ingress_options(settings).reranker_names == {"qwen3-vl-reranker", "Qwen/Qwen3-VL-Reranker-2B"}
    build_app(settings)
