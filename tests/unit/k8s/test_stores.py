"""Milvus by operator and by chart, and PostgreSQL: shapes, secrets, and that Crossray is told where they are.

The chart was not rendered and the CRDs are not at hand (see `custom_resources`); no operator has run these here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from custom_resources import MILVUS, POSTGRESQL
from manifest_files import K8S, Objects, of_kind

from cluster.settings import load_settings

Build = Callable[[Path], Objects]
VALUES: dict[str, Any] = yaml.safe_load((K8S / "milvus/helm/values.yaml").read_text(encoding="utf-8"))
CHART_KEYS = {
    # Of charts/milvus/values.yaml in the chart's own repository.
    *("cluster", "image", "pulsarv3", "streaming", "minio", "externalS3", "etcd", "extraConfigFiles"),
    *("mixCoordinator", "proxy", "dataNode", "queryNode", "streamingNode"),
}
ROOT_PASSWORD = {
    "name": "COMMON_SECURITY_DEFAULTROOTPASSWORD",
    "valueFrom": {"secretKeyRef": {"name": "crossray-milvus", "key": "root-password"}},
}


@pytest.fixture(scope="module")
def milvus(kustomize: Build) -> Objects:
    return kustomize(K8S / "milvus/operator")


@pytest.fixture(scope="module")
def resource(milvus: Objects) -> dict[str, Any]:
    (found,) = of_kind(milvus, "Milvus")
    return found


@pytest.fixture(scope="module")
def database(kustomize: Build, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    folder = tmp_path_factory.mktemp("database")
    (folder / "postgresql").symlink_to(K8S / "components/postgresql")
    (folder / "mine").mkdir()
    (folder / "mine/kustomization.yaml").write_text("namespace: crossray\ncomponents: [../postgresql]\n")
    return kustomize(folder / "mine")


def faults(schema: dict[str, Any], item: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(item)]


def test_the_milvus_resource_has_fields_that_there_are(resource: dict[str, Any]) -> None:
    assert faults(MILVUS, resource) == []
    misspelt = copy.deepcopy(resource)
    misspelt["spec"]["components"]["queryNode"]["replica"] = 2
    assert faults(MILVUS, misspelt)


def test_the_postgresql_resource_has_fields_that_there_are(database: Objects) -> None:
    (cluster,) = of_kind(database, "Cluster")
    assert faults(POSTGRESQL, cluster) == []
    misspelt = copy.deepcopy(cluster)
    misspelt["spec"]["postgresql"]["synchronised"] = {}
    assert faults(POSTGRESQL, misspelt)


@pytest.mark.parametrize("profile", ["kubernetes", "kubernetes-gpu"])
def test_crossray_looks_for_milvus_where_both_ways_put_it(profile: str, resource: dict[str, Any]) -> None:
    """The operator names the Service after the resource, with -milvus behind it; the chart after its release."""
    metadata = resource["metadata"]
    uri = f"http://{metadata['name']}-milvus.{metadata['namespace']}:19530"
    assert load_settings(profile).index.uri == uri
    command = (K8S / "milvus/helm/values.yaml").read_text(encoding="utf-8")
    assert f"helm install {metadata['name']}-milvus milvus " in command
    assert f"--namespace {metadata['namespace']} " in command


def test_crossray_looks_for_postgresql_where_the_operator_puts_it(database: Objects) -> None:
    """Its Service for reading and writing is the resource's name with -rw behind it, in the same namespace."""
    (cluster,) = of_kind(database, "Cluster")
    url = load_settings("kubernetes-gpu").database.url
    assert url is not None
    made = cluster["spec"]["bootstrap"]["initdb"]["database"]
    assert url.get_secret_value() == f"postgresql+psycopg://{cluster['metadata']['name']}-rw:5432/{made}"


def test_milvus_asks_who_calls_and_has_no_password_of_its_makers(resource: dict[str, Any]) -> None:
    spec = resource["spec"]
    assert spec["config"]["common"]["security"]["authorizationEnabled"] is True
    assert spec["components"]["env"] == [ROOT_PASSWORD]
    assert spec["dependencies"]["storage"]["secretRef"] == "crossray-milvus-storage"
    of_the_chart = yaml.safe_load(VALUES["extraConfigFiles"]["user.yaml"])
    assert of_the_chart == {"common": {"security": {"authorizationEnabled": True}}}
    assert VALUES["mixCoordinator"]["extraEnv"] == [ROOT_PASSWORD]
    assert not VALUES["externalS3"].keys() & {"accessKey", "secretKey"}


def test_the_chart_gives_what_the_operator_does(resource: dict[str, Any]) -> None:
    assert VALUES.keys() == CHART_KEYS
    components = resource["spec"]["components"]
    image = VALUES["image"]["all"]
    assert f"{image['repository']}:{image['tag']}" == components["image"]
    for ours, of_the_chart in {"mixCoord": "mixCoordinator"}.items():
        assert components[ours] == {key: VALUES[of_the_chart][key] for key in ("replicas", "resources")}
    for part in ("proxy", "dataNode", "queryNode", "streamingNode"):
        assert VALUES[part] == components[part], part
    assert (
        VALUES["etcd"]["replicaCount"]
        == resource["spec"]["dependencies"]["etcd"]["inCluster"]["values"]["replicaCount"]
    )
    assert VALUES["pulsarv3"]["enabled"] is VALUES["minio"]["enabled"] is False
    assert VALUES["streaming"] == {"enabled": True, "woodpecker": {"embedded": True}}


def test_one_milvus_for_compose_and_clusters(resource: dict[str, Any]) -> None:
    compose = yaml.safe_load((K8S.parent / "compose/compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"]["milvus"]["image"] == resource["spec"]["components"]["image"]


def test_nobody_but_crossray_reaches_milvus_from_elsewhere(milvus: Objects) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(milvus, "NetworkPolicy")}
    assert policies["milvus-among-themselves"]["podSelector"] == {}, "every pod has a policy, and so is closed"
    (rule,) = policies["milvus-crossray"]["ingress"]
    (peer,) = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "crossray"}
    assert peer["podSelector"]["matchLabels"] == {"crossray.dev/role": "ray"}
    assert rule["ports"] == [{"port": 19530}]
    assert {item["metadata"].get("namespace", item["metadata"]["name"]) for item in milvus} == {"milvus"}


def test_nobody_but_crossray_reaches_postgresql(database: Objects) -> None:
    (cluster,) = of_kind(database, "Cluster")
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(database, "NetworkPolicy")}
    own = {"cnpg.io/cluster": cluster["metadata"]["name"]}
    assert policies["crossray-database"]["podSelector"]["matchLabels"] == own
    assert policies["crossray-database"]["ingress"][0] == {
        "from": [{"podSelector": {"matchLabels": {"crossray.dev/role": "ray"}}}],
        "ports": [{"port": 5432}],
    }
    assert policies["crossray-to-database"]["egress"][0]["to"][0]["podSelector"]["matchLabels"] == own
