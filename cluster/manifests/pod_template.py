"""The pods of a Ray cluster: one container of our image, volumes, and a security context that a restricted namespace
admits."""

from __future__ import annotations

from typing import Any

from cluster.environment import image_environment, pod_environment
from cluster.manifests.pods import Pods, PodSize, WorkerGroup
from cluster.manifests.secrets import secret_variables
from cluster.model_settings import pulled_checkpoints
from cluster.settings import Settings
from cluster.telemetry import TELEMETRY_OFF

USER_ID = 1000
"""The image's user."""
DRAIN_S = 15
"""How long a pod that was told to go still serves: until then load balancers may send it requests."""
CONFIG_MAP = "crossray-settings"
MODEL_SOURCE_SECRET = "crossray-model-source"  # noqa: S105 - the name of a Secret, not its content
SHM_MARGIN_BYTES = 256 << 20
"""Shared memory beyond Ray's object store, for whatever else uses it."""
SHARED_MEMORY = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108 - a volume of the pod's own
TEMPORARY = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - a volume of the pod's own
WRITABLE_HOME = {"HOME": "/tmp"}  # noqa: S108
"""The image's own home lies on the read-only root file system."""
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


RAY_LABELS = {"app.kubernetes.io/part-of": "crossray", "crossray.dev/role": "ray"}
"""Of every pod of Ray, for policies and monitors. Not `app.kubernetes.io/name`: the operator finds its pods by that."""
HEAD_PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001}
"""As the operator names them. Where a container lists any port, its Services have those alone."""
SERVE_PORT = "serve"
"""What the operator's Service and its probes of Serve's proxies look for."""


def group_labels(pods: Pods, group: str) -> dict[str, str]:
    """Of the pods of one group, the head's being `head`."""
    return {"app.kubernetes.io/instance": pods.name, "app.kubernetes.io/component": group}


def head_template(settings: Settings, pods: Pods) -> dict[str, Any]:
    """The pod of the head: it schedules, and runs no replica."""
    container = _container(settings, pods, "ray-head", pods.head)
    container["ports"] += [{"name": name, "containerPort": port} for name, port in HEAD_PORTS.items()]
    template = _template(settings, pods, "head", pods.head, container)
    if not pods.autoscaled:  # the autoscaler asks Kubernetes for pods, under an account that the operator makes
        template["spec"]["automountServiceAccountToken"] = False
    return template


def worker_template(settings: Settings, pods: Pods, group: WorkerGroup) -> dict[str, Any]:
    """A worker's pod: the volumes, and the models of these settings pulled before it starts."""
    container = _container(settings, pods, "ray-worker", group)
    container["lifecycle"] = {"preStop": {"exec": {"command": ["/bin/sh", "-c", f"sleep {DRAIN_S}"]}}}
    container["volumeMounts"] += [
        {"name": "data", "mountPath": str(settings.data_dir)},
        {"name": "models", "mountPath": str(settings.cache_dir)},
    ]
    if group.gpus:
        for bound in container["resources"].values():
            bound[group.gpu_resource] = str(group.gpus)
    template = _template(settings, pods, group.name, group, container)
    spec = template["spec"]
    spec["automountServiceAccountToken"] = False
    spec["terminationGracePeriodSeconds"] = DRAIN_S + int(settings.http.request_timeout_s) + 15
    spec["volumes"] += [
        {"name": "data", "persistentVolumeClaim": {"claimName": "crossray-data"}},
        {"name": "models", "persistentVolumeClaim": {"claimName": "crossray-models"}},
    ]
    if pulls := _model_pulls(settings, pods, group):
        spec["initContainers"] = pulls
    if group.gpus:
        spec["tolerations"] = [{"key": group.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}]
    return template


def shm_bytes(settings: Settings) -> int:
    """The size of /dev/shm in every pod."""
    return settings.ray.object_store_bytes + SHM_MARGIN_BYTES


def _template(settings: Settings, pods: Pods, group: str, size: PodSize, container: dict[str, Any]) -> dict[str, Any]:
    labels = RAY_LABELS | group_labels(pods, group)
    spec: dict[str, Any] = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            # Or every start would walk the whole media volume.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ],
        "containers": [container],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _mebibytes(shm_bytes(settings))}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if size.node_selector:
        spec["nodeSelector"] = dict(size.node_selector)
    return {"metadata": {"labels": labels}, "spec": spec}


def _container(settings: Settings, pods: Pods, name: str, size: PodSize) -> dict[str, Any]:
    """Ray's own container. The head gets the same environment: Serve may build the application there."""
    amounts = {"cpu": str(size.cpu), "memory": f"{size.memory_gib}Gi"}
    return {
        "name": name,
        "image": pods.image,
        "ports": [{"name": SERVE_PORT, "containerPort": settings.http.port}],
        "env": _variables(image_environment(settings) | pod_environment(settings) | WRITABLE_HOME)
        + secret_variables(settings),
        "envFrom": [{"configMapRef": {"name": CONFIG_MAP}}],
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [SHARED_MEMORY, TEMPORARY],
    }


def _variables(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _model_pulls(settings: Settings, pods: Pods, group: WorkerGroup) -> list[dict[str, Any]]:
    """One init container a checkpoint that replicas in this group load; where the volume has it, it ends at once."""
    loaded = [model for model in settings.served_models.values() if group.gpus or not model.scale.num_gpus]
    return [
        _model_pull(settings, pods, number, model, revision)
        for number, (model, revision) in enumerate(pulled_checkpoints(loaded), start=1)
    ]


def _model_pull(settings: Settings, pods: Pods, number: int, model: str, revision: str | None) -> dict[str, Any]:
    amounts = {"cpu": "1", "memory": "1Gi"}
    return {
        "name": f"pull-model-{number}",
        "image": pods.image,
        "command": ["crossray", "model", "pull", model, "--if-missing"]
        + (["--revision", revision] if revision else []),
        "env": _variables({"CROSSRAY_CACHE_DIR": str(settings.cache_dir)} | TELEMETRY_OFF | WRITABLE_HOME),
        "envFrom": [{"secretRef": {"name": MODEL_SOURCE_SECRET, "optional": True}}],
        "resources": {"requests": amounts, "limits": amounts},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "models", "mountPath": str(settings.cache_dir)}, TEMPORARY],
    }


def _mebibytes(amount: int) -> str:
    return f"{-(-amount // (1 << 20))}Mi"
