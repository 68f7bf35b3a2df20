"""The rules the manifests are judged by: each catches what it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from manifest_files import K8S
from operator_rules import faults

from cluster.manifests.overlay import render

Service = dict[str, Any]


@pytest.fixture(scope="module")
def service() -> Service:
    rendered: Service = next(yaml.safe_load_all(render(K8S / "overlays" / "gpu")))
    assert faults(rendered) == []
    return rendered


def cluster(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service["spec"]["rayClusterConfig"]
    return found


def set_serve(service: Service, key: str, value: Any) -> None:
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    config["applications"][0][key] = value
    service["spec"]["serveConfigV2"] = yaml.safe_dump(config)


def upgrade(**options: Any) -> dict[str, Any]:
    return {
        "type": "NewClusterWithIncrementalUpgrade",
        "clusterUpgradeOptions": {"gatewayClassName": "istio", "intervalSeconds": 10, **options},
    }


FAULTS: dict[str, tuple[Callable[[Service], Any], str]] = {
    "a misspelt field": (lambda s: s["spec"].update(upgradeStrategies={}), "upgradeStrategies"),
    "a misspelt field in a pod": (
        lambda s: cluster(s)["headGroupSpec"]["template"]["spec"].update(tolerances=[]),
        "tolerances",
    ),
    "a number for a text": (
        lambda s: cluster(s)["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        "not of type 'string'",
    ),
    "a long name": (lambda s: s["metadata"].update(name="c" * 48), "47"),
    "replicas on the head": (lambda s: cluster(s)["headGroupSpec"]["rayStartParams"].pop("num-cpus"), "head takes"),
    "a named head service": (
        lambda s: cluster(s)["headGroupSpec"].update(headService={"metadata": {"name": "x"}}),
        "head's Service",
    ),
    "resources twice": (lambda s: cluster(s)["headGroupSpec"].update(resources={"CPU": "0"}), "and beside"),
    "restarts under the autoscaler": (
        lambda s: cluster(s)["workerGroupSpecs"][0]["template"]["spec"].update(restartPolicy="Always"),
        "restartPolicy",
    ),
    "the operator's variable": (
        lambda s: cluster(s)["headGroupSpec"]["template"]["spec"]["containers"][0]["env"].append(
            {"name": "REDIS_PASSWORD", "value": "x"}
        ),
        "REDIS_PASSWORD",
    ),
    "a probe of one's own": (
        lambda s: cluster(s)["workerGroupSpecs"][0]["template"]["spec"]["containers"][0].update(readinessProbe={}),
        "readinessProbe",
    ),
    "the operator's label": (
        lambda s: cluster(s)["headGroupSpec"]["template"]["metadata"]["labels"].update({"app.kubernetes.io/name": "x"}),
        "app.kubernetes.io/name",
    ),
    "a head without a named dashboard": (
        lambda s: cluster(s)["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"].pop(),
        "want the ports",
    ),
    "tokens without a version": (lambda s: cluster(s).pop("rayVersion"), "rayVersion"),
    "no autoscaler": (lambda s: cluster(s).pop("enableInTreeAutoscaling"), "nothing that does"),
    "an unknown strategy": (lambda s: s["spec"].update(upgradeStrategy={"type": "Rolling"}), "no upgrade strategy"),
    "a step beyond the surge": (
        lambda s: s["spec"].update(upgradeStrategy=upgrade(stepSizePercent=50, maxSurgePercent=25)),
        "stepSizePercent",
    ),
    "a key that Serve does not know": (lambda s: set_serve(s, "import_paths", "x"), "no import_paths"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(service: Service, name: str) -> None:
    plant, says = FAULTS[name]
    faulty = copy.deepcopy(service)
    plant(faulty)
    assert any(says in fault for fault in faults(faulty)), faults(faulty)
