"""What KubeRay's operator refuses though its CRD takes it, and what it does not notice but does not work.

The operator's own checks: https://github.com/ray-project/kuberay, ray-operator/controllers/ray/utils/validation.go
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from pydantic import BaseModel

SCHEMA = json.loads((Path(__file__).parent / "rayservice.schema.json").read_text(encoding="utf-8"))
MAX_NAME_CHARS = 47
OPERATORS_LABELS = {"app.kubernetes.io/name", "app.kubernetes.io/created-by"}
HEAD_PORTS = {"gcs-server", "dashboard", "client"}
RESOURCE_PARAMS = {"num-cpus", "num-gpus", "memory", "resources"}
OPERATORS_OWN = {"REDIS_PASSWORD", "RAY_REDIS_ADDRESS", "REDIS_USERNAME", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}


def faults(service: dict[str, Any]) -> list[str]:
    """Every fault found in a RayService; none where it would be taken and would work."""
    found = [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(service)]
    return found or [*_name(service), *_cluster(service), *_upgrade(service["spec"]), *_serve_config(service["spec"])]


def groups(service: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The head's group and the workers', by name."""
    cluster = service["spec"]["rayClusterConfig"]
    return [("head", cluster["headGroupSpec"])] + [(group["groupName"], group) for group in cluster["workerGroupSpecs"]]


def pod_specs(service: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, group["template"]["spec"]) for name, group in groups(service)]


def _name(service: dict[str, Any]) -> Iterator[str]:
    name = service["metadata"]["name"]
    if len(name) > MAX_NAME_CHARS or not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name):
        yield f"the name {name} is no label of at most {MAX_NAME_CHARS} characters"


def _cluster(service: dict[str, Any]) -> Iterator[str]:
    cluster = service["spec"]["rayClusterConfig"]
    autoscaled = cluster.get("enableInTreeAutoscaling", False)
    if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
        yield "the head takes replicas"
    if cluster["headGroupSpec"].get("headService", {}).get("metadata", {}).get("name"):
        yield "the head's Service has a name"
    if cluster.get("authOptions", {}).get("mode") == "token" and not cluster.get("rayVersion"):
        yield "tokens need a rayVersion"
    for name, group in groups(service):
        if RESOURCE_PARAMS & group["rayStartParams"].keys() and group.get("resources"):
            yield f"{name}: resources in rayStartParams and beside them"
        if autoscaled and group["template"]["spec"].get("restartPolicy", "Never") != "Never":
            yield f"{name}: the autoscaler v2 wants restartPolicy Never"
        for variable in group["template"]["spec"]["containers"][0].get("env", []):
            if variable["name"] in OPERATORS_OWN:
                yield f"{name}: {variable['name']} is the operator's to set"
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in group["template"]["spec"]["containers"][0]:
                yield f"{name}: {probe} replaces the operator's, which knows Serve's proxies"
        yield from _labels_and_ports(name, group["template"])
        if not autoscaled and group.get("maxReplicas") != group.get("minReplicas"):
            yield f"{name}: room to scale, and nothing that does"


def _labels_and_ports(name: str, template: dict[str, Any]) -> Iterator[str]:
    """By its own labels and named ports the operator finds pods and builds Services; it lets ours stand above them."""
    for label in template["metadata"]["labels"]:
        if label in OPERATORS_LABELS or label.startswith("ray.io/"):
            yield f"{name}: the label {label} is the operator's"
    ports = {port["name"] for port in template["spec"]["containers"][0].get("ports", [])}
    wanted = {"serve"} | (HEAD_PORTS if name == "head" else set())
    if ports and ports != wanted:
        yield f"{name}: the operator's Services want the ports {sorted(wanted)}"


def _upgrade(spec: dict[str, Any]) -> Iterator[str]:
    strategy = spec.get("upgradeStrategy", {})
    if strategy.get("type") not in ("NewCluster", "NewClusterWithIncrementalUpgrade", "None"):
        yield f"there is no upgrade strategy {strategy.get('type')}"
    if strategy.get("type") != "NewClusterWithIncrementalUpgrade":
        return
    options = strategy.get("clusterUpgradeOptions")
    if not spec["rayClusterConfig"].get("enableInTreeAutoscaling"):
        yield "an incremental upgrade needs the autoscaler"
    if not options or not 0 <= options["stepSizePercent"] <= options.get("maxSurgePercent", 100) <= 100:
        yield "an incremental upgrade wants 0 ≤ stepSizePercent ≤ maxSurgePercent ≤ 100"


def _serve_config(spec: dict[str, Any]) -> Iterator[str]:
    """By Serve's own schema, which takes misspelt keys: those are compared by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Serve's own, of pydantic
        from ray.serve import schema
    config = yaml.safe_load(spec["serveConfigV2"])
    schema.ServeDeploySchema.model_validate(config)
    yield from _unknown(config, schema.ServeDeploySchema)
    yield from _unknown(config.get("http_options", {}), schema.HTTPOptionsSchema)
    yield from _unknown(config.get("logging_config", {}), schema.LoggingConfig)
    for application in config["applications"]:
        yield from _unknown(application, schema.ServeApplicationSchema)
        for deployment in application.get("deployments", []):
            yield from _unknown(deployment, schema.DeploymentSchema)


def _unknown(values: dict[str, Any], schema: type[BaseModel]) -> Iterator[str]:
    for key in values.keys() - schema.model_fields.keys():
        yield f"Serve's {schema.__name__} has no {key}"
