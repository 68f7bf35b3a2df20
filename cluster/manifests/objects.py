"""The Kubernetes objects themselves: a RayService, and disruption budgets for its workers.

Sources: the CRD of KubeRay 1.7, and what its operator checks beyond the CRD. The operator adds the probes, its labels,
the metrics port and, with the autoscaler, a sidecar.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from cluster.manifests.pod_template import RAY_LABELS, group_labels, head_template, worker_template
from cluster.manifests.pods import Pods, WorkerGroup
from cluster.manifests.serve_config import serve_config
from cluster.manifests.yaml_text import to_yaml
from cluster.settings import Settings

OWN_LABELS = {"app.kubernetes.io/part-of": "crossray"}
OLD_CLUSTER_S = 120
"""After an upgrade the old cluster stays so long, for the requests it still has."""
IDLE_S = 300
"""A worker without replicas goes after so long."""


def ray_service(settings: Settings, pods: Pods) -> dict[str, Any]:
    """A `ray.io/v1` RayService. Its own Service gets no traffic to the head, which a busy API must not slow."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": pods.name, "labels": OWN_LABELS},
        "spec": {
            "upgradeStrategy": {"type": "NewCluster"},
            "excludeHeadPodFromServeSvc": True,
            "rayClusterDeletionDelaySeconds": OLD_CLUSTER_S,
            "serveConfigV2": to_yaml(serve_config(settings)),
            "rayClusterConfig": _ray_cluster(settings, pods),
        },
    }


def disruption_budgets(pods: Pods) -> list[dict[str, Any]]:
    """One a group of more than one pod: a node may be drained while all but one stay.

    A RayCluster has no scale subresource, so only `minAvailable` as a number works.
    Source: https://kubernetes.io/docs/tasks/run-application/configure-pdb/#arbitrary-workloads-and-arbitrary-selectors
    """
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": f"{pods.name}-{group.name}", "labels": OWN_LABELS},
            "spec": {
                "minAvailable": group.min_pods - 1,
                "selector": {"matchLabels": RAY_LABELS | group_labels(pods, group.name)},
            },
        }
        for group in pods.workers
        if group.min_pods > 1
    ]


def _ray_cluster(settings: Settings, pods: Pods) -> dict[str, Any]:
    store = {"object-store-memory": str(settings.ray.object_store_bytes)}
    cluster: dict[str, Any] = {
        "rayVersion": version("ray"),
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0", **store},
            "template": head_template(settings, pods),
        },
        "workerGroupSpecs": [_worker_group(settings, pods, group, store) for group in pods.workers],
    }
    if pods.autoscaled:
        amounts = {"cpu": "500m", "memory": "1Gi"}
        cluster["enableInTreeAutoscaling"] = True
        cluster["autoscalerOptions"] = {
            "version": "v2",
            "idleTimeoutSeconds": IDLE_S,
            "resources": {"requests": amounts, "limits": amounts},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    return cluster


def _worker_group(settings: Settings, pods: Pods, group: WorkerGroup, store: dict[str, str]) -> dict[str, Any]:
    return {
        "groupName": group.name,
        "replicas": group.min_pods,
        "minReplicas": group.min_pods,
        "maxReplicas": group.max_pods,
        "rayStartParams": dict(store),
        "template": worker_template(settings, pods, group),
    }
