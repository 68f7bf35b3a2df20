"""Every overlay as kustomize builds it, alone and with every component: what a cluster would be given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_files import COMPONENTS, K8S, OVERLAYS, Objects, of_kind
from operator_rules import faults, groups, pod_specs

Build = Callable[[Path], Objects]
NAMELESS = {"Namespace"}


@pytest.fixture(scope="session")
def built(kustomize: Build) -> dict[str, Objects]:
    return {name: kustomize(K8S / "overlays" / name) for name in OVERLAYS}


def service_in(objects: Objects) -> dict[str, Any]:
    (service,) = of_kind(objects, "RayService")
    return service


def all_pods(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    """The spec of every pod, of Ray's and of others, with a name to tell."""
    yield from pod_specs(service_in(objects))
    for kind in ("Deployment", "StatefulSet"):
        for item in of_kind(objects, kind):
            spec = item["spec"]["template"]["spec"]
            templates = item["spec"].get("volumeClaimTemplates", [])
            made = [{"name": template["metadata"]["name"], "claim": {}} for template in templates]
            yield item["metadata"]["name"], spec | {"volumes": spec.get("volumes", []) + made}


def labels_of_pods(objects: Objects) -> list[dict[str, str]]:
    labels = [group["template"]["metadata"]["labels"] for _, group in groups(service_in(objects))]
    for kind in ("Deployment", "StatefulSet"):
        labels += [item["spec"]["template"]["metadata"]["labels"] for item in of_kind(objects, kind)]
    return labels


def mine(folder: Path, overlay: str, components: list[str], more: str = "") -> Path:
    """A kustomization as an operator would write it, beside copies of ours."""
    own = folder / "mine"
    own.mkdir()
    (folder / "k8s").symlink_to(K8S)
    lines = ["resources:", f"- ../k8s/overlays/{overlay}", "namespace: crossray", "components:"]
    lines += [f"- ../k8s/components/{name}" for name in components]
    (own / "kustomization.yaml").write_text("\n".join(lines) + "\n" + more)
    return own


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_operator_and_serve_take_it(built: dict[str, Objects], overlay: str) -> None:
    assert faults(service_in(built[overlay])) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_in_one_namespace(built: dict[str, Objects], overlay: str) -> None:
    (namespace,) = of_kind(built[overlay], "Namespace")
    for item in built[overlay]:
        if item["kind"] not in NAMELESS:
            assert item["metadata"]["namespace"] == namespace["metadata"]["name"], item["metadata"]["name"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_pass_a_restricted_namespace(built: dict[str, Objects], overlay: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a read-only root."""
    (namespace,) = of_kind(built[overlay], "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, spec in all_pods(built[overlay]):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in spec["containers"] + spec.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["readOnlyRootFilesystem"] is True, name
        assert all(volume.keys() & {"emptyDir", "persistentVolumeClaim", "claim"} for volume in spec["volumes"]), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_containers_say_what_they_need_and_which_image(built: dict[str, Objects], overlay: str) -> None:
    for name, spec in all_pods(built[overlay]):
        for container in spec["containers"] + spec.get("initContainers", []):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"], name
            assert re.search(r":(?!latest$)[\w.-]+$", container["image"]), container["image"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_object_store_has_its_shared_memory_and_that_its_pod(built: dict[str, Objects], overlay: str) -> None:
    for name, group in groups(service_in(built[overlay])):
        spec = group["template"]["spec"]
        volume = next(volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "shm")
        size = int(volume["sizeLimit"].removesuffix("Mi")) << 20
        memory = int(spec["containers"][0]["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
        assert volume["medium"] == "Memory", name
        assert {"name": "shm", "mountPath": "/dev/shm"} in spec["containers"][0]["volumeMounts"], name
        assert int(group["rayStartParams"]["object-store-memory"]) < size <= memory / 2, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_named_exists(built: dict[str, Objects], overlay: str) -> None:
    """Volumes, claims, ConfigMaps and Services. Secrets are the operator's to make, and none is in the repository."""
    objects = built[overlay]
    claims = {item["metadata"]["name"] for item in of_kind(objects, "PersistentVolumeClaim")}
    config_maps = {item["metadata"]["name"] for item in of_kind(objects, "ConfigMap")}
    assert of_kind(objects, "Secret") == []
    for name, spec in all_pods(objects):
        volumes = {volume["name"] for volume in spec["volumes"]}
        for volume in spec["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name
        for container in spec["containers"] + spec.get("initContainers", []):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    assert source["configMapRef"]["name"] in config_maps, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_select(built: dict[str, Objects], overlay: str) -> None:
    """Of Services, budgets, policies and spreads: a selector that meets no pod protects nothing, and says nothing."""
    objects = built[overlay]
    pods = labels_of_pods(objects)
    selectors = [item["spec"]["selector"] for item in of_kind(objects, "Service")]
    selectors += [item["spec"]["selector"] for item in of_kind(objects, "PodDisruptionBudget")]
    selectors += [item["spec"]["podSelector"] for item in of_kind(objects, "NetworkPolicy")]
    selectors += [spec["topologySpreadConstraints"][0]["labelSelector"] for _, spec in pod_specs(service_in(objects))]
    assert len(selectors) > 3
    for selector in selectors:
        assert any(selects(selector, labels) for labels in pods), selector


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    plain = not selector.keys() & {"matchLabels", "matchExpressions"}
    wanted = selector if plain else selector.get("matchLabels", {})
    listed = selector.get("matchExpressions", [])
    return wanted.items() <= labels.items() and all(labels.get(rule["key"]) in rule["values"] for rule in listed)


def test_an_incremental_upgrade_is_the_gpu_overlay_and_no_more(built: dict[str, Objects]) -> None:
    incremental, plain = service_in(built["gpu-incremental"]), service_in(built["gpu"])
    assert incremental["spec"].pop("upgradeStrategy") != plain["spec"].pop("upgradeStrategy")
    assert incremental == plain


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("overlay", ["cpu"])
def test_every_component_goes_with_an_overlay(kustomize: Build, tmp_path: Path, overlay: str, component: str) -> None:
    alone = kustomize(K8S / "overlays" / overlay)
    objects = kustomize(mine(tmp_path, overlay, [component]))
    assert faults(service_in(objects)) == []
    assert objects != alone
    assert {item["metadata"]["namespace"] for item in objects if item["kind"] not in NAMELESS} == {"crossray"}


def test_all_together_with_an_image_and_a_milvus_of_ones_own(kustomize: Build, tmp_path: Path) -> None:
    images = "images:\n- {name: crossray, newName: registry.example/team/crossray, newTag: 1.2.3}\n"
    objects = kustomize(mine(tmp_path, "gpu", ["monitoring", "external-milvus"], images))
    service = service_in(objects)
    assert faults(service) == []
    maps = {one["metadata"]["name"]: one for one in of_kind(objects, "ConfigMap")}
    boards = maps.pop("crossray-dashboards")
    (settings,) = maps.values()
    assert all(json.loads(board)["panels"] for board in boards["data"].values())
    assert [one["metadata"]["name"] for one in of_kind(objects, "PrometheusRule")] == ["crossray"]
    assert settings["data"]["CROSSRAY_INDEX__URI"].startswith("https://")
    for name, spec in pod_specs(service):
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["image"] == "registry.example/team/crossray:1.2.3", name
        # A changed ConfigMap has another name, so that the pods are replaced.
        assert spec["containers"][0]["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}], name
    assert re.fullmatch(r"crossray-settings-\w{10}", settings["metadata"]["name"])


def test_the_heads_state_is_in_a_redis_that_forgets_nothing(built: dict[str, Objects]) -> None:
    options = service_in(built["gpu"])["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    (store,) = of_kind(built["gpu"], "StatefulSet")
    (cache,) = of_kind(built["gpu"], "Deployment")
    assert options["redisAddress"] == f"{store['metadata']['name']}:6379"
    own = store["spec"]["template"]["spec"]["containers"][0]
    assert own["env"][0]["valueFrom"] == options["redisPassword"]["valueFrom"]
    assert {"noeviction", "--appendonly"} <= set(own["args"])
    assert "allkeys-lru" in cache["spec"]["template"]["spec"]["containers"][0]["args"]


def test_policies_open_the_port_that_the_api_has(built: dict[str, Objects]) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(built["gpu"], "NetworkPolicy")}
    config = yaml.safe_load(service_in(built["gpu"])["spec"]["serveConfigV2"])
    assert policies["crossray-api"]["ingress"][0]["ports"] == [{"port": "serve"}]
    for name, spec in pod_specs(service_in(built["gpu"])):
        ports = {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
        assert ports["serve"] == config["http_options"]["port"], name
    assert set(policies["crossray-deny"]) == {"podSelector", "policyTypes"}


def test_no_pod_of_ours_is_left_open(built: dict[str, Objects]) -> None:
    (deny,) = [item for item in of_kind(built["gpu"], "NetworkPolicy") if item["metadata"]["name"] == "crossray-deny"]
    assert all(selects(deny["spec"]["podSelector"], labels) for labels in labels_of_pods(built["gpu"]))


def test_the_monitors_meet_the_heads_and_the_workers_pods(kustomize: Build, tmp_path: Path) -> None:
    objects = kustomize(mine(tmp_path, "gpu", ["monitoring"]))
    monitors = of_kind(objects, "PodMonitor")
    kinds = {"head": "head", "cpu": "worker", "gpu": "worker"}
    for name, group in groups(service_in(objects)):
        labels = group["template"]["metadata"]["labels"] | {"ray.io/node-type": kinds[name]}  # the operator adds it
        assert sum(selects(monitor["spec"]["selector"], labels) for monitor in monitors) == 1, name
