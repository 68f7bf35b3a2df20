"""From settings to Serve's options of a deployment: what a replica reserves, how many there are, when they change."""

from __future__ import annotations

import warnings
from typing import Any

from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from cluster.model_settings import EncoderSettings
from cluster.section import ScaleSettings
from cluster.settings import Settings
from deployments.autoscaling import EncoderPolicy
from deployments.encoder import EncoderDeployment
from deployments.jobs.deployment import IngestDeployment


def deployment(cls: Any, name: str, scale: ScaleSettings) -> Any:
    """A Serve deployment of a plain class (Serve's own annotation of this call loses its type)."""
    return serve.deployment(cls, name=name, **scale_options(scale))


def encoder_deployment(name: str, encoder: EncoderSettings) -> Any:
    """Of which there are as many as its queued cost needs; the policy decides when, without Serve's delays."""
    scale = encoder.scale
    policy = AutoscalingPolicy(  # type: ignore[no-untyped-call]
        policy_function=EncoderPolicy, policy_kwargs=encoder.drain.policy_kwargs(scale.shrink_after_s)
    )
    at_once = scale.model_copy(update={"grow_after_s": 0.0, "shrink_after_s": 0.0})
    return serve.deployment(EncoderDeployment, name=name, **scale_options(at_once, policy))


def scale_options(scale: ScaleSettings, policy: AutoscalingPolicy | None = None) -> dict[str, Any]:
    """Serve's options for a deployment: fixed where min and max are equal, else autoscaled, by Serve's own policy or
    this one."""
    options: dict[str, Any] = {
        "max_ongoing_requests": scale.max_ongoing_requests,
        "ray_actor_options": {"num_cpus": scale.num_cpus, "num_gpus": scale.num_gpus, **_placement(scale)},
        "max_replicas_per_node": scale.max_replicas_per_node,
        "health_check_period_s": scale.health_check_s,
        "graceful_shutdown_wait_loop_s": 0.2,
        "graceful_shutdown_timeout_s": 10,
    }
    if scale.min_replicas == scale.max_replicas:
        return options | {"num_replicas": scale.min_replicas}
    with warnings.catch_warnings():
        # Deprecated for variables that Serve 2.60 does not read yet (RAY_SERVE_…_METRIC_PUSH_INTERVAL_S).
        warnings.filterwarnings("ignore", "The `metrics_interval_s` field", DeprecationWarning)
        autoscaling = AutoscalingConfig(
            min_replicas=scale.min_replicas,
            max_replicas=scale.max_replicas,
            target_ongoing_requests=scale.target_ongoing_requests,
            metrics_interval_s=scale.control_s,
            look_back_period_s=2 * scale.control_s,
            upscale_delay_s=scale.grow_after_s,
            downscale_delay_s=scale.shrink_after_s,
            downscale_to_zero_delay_s=scale.sleep_after_s if scale.min_replicas == 0 else None,
            **({} if policy is None else {"policy": policy}),
        )
    return options | {"autoscaling_config": autoscaling}


def _placement(scale: ScaleSettings) -> dict[str, Any]:
    if not scale.preferred_labels:
        return {}
    anywhere: dict[str, Any] = {"label_selector": {}}
    return {"label_selector": dict(scale.preferred_labels), "fallback_strategy": [anywhere]}


def ingest_deployment(settings: Settings) -> Any:
    """Workers that are called, or with a broker a task consumer whose replicas are as many as its queue is long for."""
    jobs = settings.jobs
    if jobs.broker_url is None:
        return deployment(IngestDeployment, "IngestWorker", jobs.scale)
    from ray.serve.async_inference_autoscaling_policy import AsyncInferenceAutoscalingPolicy
    from ray.serve.task_consumer import task_consumer

    from deployments.jobs.broker import QUEUE, BrokerIngestDeployment, processor_config

    url = jobs.broker_url.get_secret_value()
    consumer = task_consumer(task_processor_config=processor_config(url))(BrokerIngestDeployment)
    policy = AutoscalingPolicy(  # type: ignore[no-untyped-call]
        policy_function=AsyncInferenceAutoscalingPolicy,
        policy_kwargs={"broker_url": url, "queue_name": QUEUE, "poll_interval_s": 2.0},
    )
    return serve.deployment(consumer, name="IngestWorker", **scale_options(jobs.scale, policy))
