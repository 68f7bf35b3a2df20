"""`python -m cluster.manifests`: what lies in the repository is current, and settings arrive where pods read them."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_files import K8S, ROOT
from operator_rules import faults, groups, pod_specs

from cluster.environment import HAPROXY, LOOPBACK_ONLY, ray_environment, serving_environment
from cluster.errors import SettingsError
from cluster.manifests.__main__ import main
from cluster.manifests.overlay import RENDERED_FILE, find_overlays, has_drifted, render
from cluster.manifests.serve_config import IMPORT_PATH
from cluster.settings import Settings, load_settings

RENDERED = find_overlays(K8S)


def service_of(folder: Path) -> dict[str, Any]:
    service: dict[str, Any] = next(yaml.safe_load_all(render(folder)))
    return service


def args_of(service: dict[str, Any]) -> dict[str, Any]:
    args: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"][0]["args"]
    return args


def variables_of(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of the cpu overlay to change."""
    return Path(shutil.copytree(K8S / "overlays" / "cpu", tmp_path / "own"))


def change(folder: Path, old: str, new: str) -> None:
    pods = folder / "pods.yaml"
    text = pods.read_text()
    assert old in text
    pods.write_text(text.replace(old, new))


@pytest.mark.parametrize("folder", RENDERED, ids=lambda folder: folder.name)
def test_what_lies_in_the_repository_is_current(folder: Path) -> None:
    assert not has_drifted(folder), "run  python -m cluster.manifests"


@pytest.mark.parametrize("folder", RENDERED, ids=lambda folder: folder.name)
def test_the_operator_and_serve_take_it(folder: Path) -> None:
    assert faults(service_of(folder)) == []


@pytest.mark.parametrize("folder", RENDERED, ids=lambda folder: folder.name)
def test_ray_asks_for_its_token(folder: Path) -> None:
    assert service_of(folder)["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}


def test_the_command_writes_and_says_what_is_out_of_date(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> str | None:
        """What it ends with: nothing, or the message beside exit code 1."""
        monkeypatch.setattr(sys, "argv", ["manifests", str(own), *arguments])
        try:
            main()
        except SystemExit as end:
            return str(end.code)
        return None

    assert run("--check") is None
    change(own, "crossray:0.1.0", "registry.example/crossray:0.2.0")
    assert "out of date" in (run("--check") or "")
    assert run() is None
    assert capsys.readouterr().out == f"{own / RENDERED_FILE}\n"
    assert "registry.example/crossray:0.2.0" in (own / RENDERED_FILE).read_text()
    assert run("--check") is None
    change(own, "profile: kubernetes", "profile: local")
    told = run()
    assert told is not None
    assert "\n" not in told


def test_settings_of_the_profile_and_the_environment_arrive(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__PORT", "9000")
    monkeypatch.setenv("CROSSRAY_ENCODER__MAX_BATCH_SIZE", "7")
    monkeypatch.setenv("CROSSRAY_DATA_DIR", "/elsewhere")
    monkeypatch.setenv("CROSSRAY_RAY__OBJECT_STORE_BYTES", str(1 << 30))
    service = service_of(own)
    assert faults(service) == []
    assert args_of(service)["encoder"]["max_batch_size"] == 7
    assert yaml.safe_load(service["spec"]["serveConfigV2"])["http_options"]["port"] == 9000
    worker = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    assert worker["rayStartParams"]["object-store-memory"] == str(1 << 30)
    spec = worker["template"]["spec"]
    assert {"name": "data", "mountPath": "/elsewhere"} in spec["containers"][0]["volumeMounts"]
    assert spec["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "1280Mi"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pod_reads_back_the_settings_that_were_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Serve does it: the arguments of the YAML into the builder's annotation, under the pod's environment."""
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary

    from cluster.app import build_app

    seen: list[Settings] = []

    def builder(settings: Settings) -> Any:
        seen.append(settings)
        return build_app(settings)

    builder.__annotations__ = dict(build_app.__annotations__)
    args = args_of(service_of(K8S / "overlays" / "gpu"))
    monkeypatch.setenv("CROSSRAY_CACHE__URL", "redis://:secret@crossray-cache:6379/0")
    monkeypatch.setenv("CROSSRAY_DATABASE__URL", "postgresql+psycopg://crossray:secret@crossray-database-rw/crossray")
    call_user_app_builder_with_args_if_necessary(builder, args)
    assert f"{build_app.__module__}:{build_app.__name__}" == IMPORT_PATH
    assert seen == [load_settings("kubernetes-gpu")]
    assert seen[0].cache.url is not None
    assert seen[0].cache.url.get_secret_value() == "redis://:secret@crossray-cache:6379/0"


def test_secrets_are_referred_to_and_never_written(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_INDEX__TOKEN", "root:hunter2")
    monkeypatch.setenv("CROSSRAY_CACHE__URL", "redis://:hunter2@cache:6379/0")
    text = render(own)
    assert "hunter2" not in text
    assert "**" not in text
    for name, spec in pod_specs(service_of(own)):
        given = {variable["name"]: variable.get("valueFrom") for variable in spec["containers"][0]["env"]}
        reference = {"secretKeyRef": {"name": "crossray", "key": "index-token"}}
        assert given["CROSSRAY_INDEX__TOKEN"] == reference, name
        assert "optional" not in given["CROSSRAY_CACHE__URL"]["secretKeyRef"], name
    monkeypatch.delenv("CROSSRAY_INDEX__TOKEN")
    optional = {"name": "crossray", "key": "index-token", "optional": True}
    assert optional in [
        variable["valueFrom"]["secretKeyRef"]
        for variable in pod_specs(service_of(own))[0][1]["containers"][0]["env"]
        if "valueFrom" in variable
    ]


@pytest.mark.parametrize("folder", RENDERED, ids=lambda folder: folder.name)
def test_pods_have_rays_variables_but_for_those_of_one_machine(folder: Path) -> None:
    service = service_of(folder)
    settings = load_settings(f"kubernetes{'-gpu' if folder.name == 'gpu' else ''}")
    for name, spec in pod_specs(service):
        given = variables_of(spec["containers"][0])
        assert serving_environment(settings).items() <= given.items(), name
        assert not LOOPBACK_ONLY.keys() & given.keys(), name
        assert not {variable for variable in given if "DIRECT_INGRESS" in variable}, name
    left_out = ray_environment(settings).keys() - serving_environment(settings).keys()
    assert left_out == {*LOOPBACK_ONLY, "RAY_AUTH_MODE"}


def test_an_haproxy_on_every_node(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_RAY__INGRESS", "haproxy")
    for name, spec in pod_specs(service_of(own)):
        given = variables_of(spec["containers"][0])
        assert HAPROXY.items() <= given.items(), name
        assert not {variable for variable in given if "DIRECT_INGRESS" in variable}, name


def test_pods_set_anew_what_the_image_sets_for_one_machine(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable stands above the tree: the image's would else be above the settings that were rendered."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    of_the_image = set(re.findall(r"^ +(CROSSRAY_\w+)=", dockerfile, re.MULTILINE))
    monkeypatch.setenv("CROSSRAY_HTTP__PORT", "9000")
    for name, spec in pod_specs(service_of(own)):
        given = variables_of(spec["containers"][0])
        assert of_the_image == {variable for variable in given if variable.startswith("CROSSRAY_")}, name
        assert given["CROSSRAY_HTTP__PORT"] == "9000", name


def test_the_head_is_given_what_workers_are_since_serve_may_build_there() -> None:
    (_, head), *workers = pod_specs(service_of(K8S / "overlays" / "gpu"))
    for _, worker in workers:
        assert head["containers"][0]["env"] == worker["containers"][0]["env"]
        assert head["containers"][0]["envFrom"] == worker["containers"][0]["envFrom"]


def test_checkpoints_are_pulled_where_replicas_load_them(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulls = {
        name: [" ".join(container["command"]) for container in spec.get("initContainers", [])]
        for name, spec in pod_specs(service_of(K8S / "overlays" / "gpu"))
    }
    command = "crossray model pull Qwen/Qwen3-VL-Embedding-2B --if-missing"
    assert pulls == {"head": [], "cpu": [], "gpu": [command]}
    monkeypatch.setenv("CROSSRAY_ENCODER__NAME", "dual-tower")
    monkeypatch.setenv("CROSSRAY_ENCODER__OPTIONS", '{"model": "some/clip", "revision": "v1"}')
    spec = dict(pod_specs(service_of(own)))["worker"]
    assert [container["command"][3:] for container in spec["initContainers"]] == [
        ["some/clip", "--if-missing", "--revision", "v1"]
    ]
    monkeypatch.setenv("CROSSRAY_ENCODER__OPTIONS", '{"model": "/models/clip"}')
    assert "initContainers" not in dict(pod_specs(service_of(own)))["worker"]


def test_gpus_bring_their_node_and_toleration_and_nothing_else_has_them() -> None:
    for name, spec in pod_specs(service_of(K8S / "overlays" / "gpu")):
        limits = spec["containers"][0]["resources"]["limits"]
        assert (limits.get("nvidia.com/gpu") == "1") == (name == "gpu")
        assert ("tolerations" in spec) == (name == "gpu")
        assert ("nodeSelector" in spec) == (name == "gpu")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CROSSRAY_RAY__INGRESS": "direct", "CROSSRAY_HTTP__SCALE__MAX_REPLICAS": "2"}, "ray.ingress"),
        ({"CROSSRAY_HTTP__HOST": "127.0.0.1"}, "http.host"),
        ({"CROSSRAY_CACHE__BACKEND": "sqlite"}, "cache.backend"),
        (
            {
                "CROSSRAY_INDEX__BACKEND": "embedded",
                "CROSSRAY_INDEX__SCALE__MIN_REPLICAS": "1",
                "CROSSRAY_INDEX__SCALE__MAX_REPLICAS": "1",
            },
            "index.backend",
        ),
        ({"CROSSRAY_ENCODER__SCALE__NUM_GPUS": "1"}, r"encoder.scale: with min_replicas .*min_pods"),
        ({"CROSSRAY_ENCODER__SCALE__NUM_CPUS": "3"}, r"encoder.scale: with min_replicas"),
        ({"CROSSRAY_ENCODER__SCALE__MAX_REPLICAS": "40"}, r"with max_replicas .*max_pods"),
        ({"CROSSRAY_ENCODER__NAME": "dual-tower"}, "encoder.options.model"),
    ],
)
def test_settings_that_pods_cannot_run_are_refused(
    own: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=says):
        render(own)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cpu: 2", "cpus: 2", "cpus"),
        ("min_pods: 2", "min_pods: 0", "min_pods"),
        ("min_pods: 2", "min_pods: 3", "max_pods"),
        ("memory_gib: 6", "memory_gib: 1", "memory_gib"),
        ("image: crossray:0.1.0", "image: crossray", "image"),
        ("image: crossray:0.1.0", "image: crossray:latest", "image"),
        ("name: worker", "name: Worker", "name"),
        ("profile: kubernetes", "profile: [", "not YAML"),
    ],
)
def test_bad_pods_are_told_by_file_and_field(own: Path, old: str, new: str, says: str) -> None:
    change(own, old, new)
    with pytest.raises(SettingsError, match=rf"pods\.yaml.*{says}"):
        render(own)


def test_autoscaling_is_on_where_there_is_room_to_scale(own: Path) -> None:
    assert "enableInTreeAutoscaling" not in service_of(own)["spec"]["rayClusterConfig"]
    change(own, "max_pods: 2", "max_pods: 5")
    service = service_of(own)
    assert service["spec"]["rayClusterConfig"]["autoscalerOptions"]["version"] == "v2"
    assert faults(service) == []


def test_a_budget_leaves_a_group_all_but_one_pod(own: Path) -> None:
    _, budget = yaml.safe_load_all(render(own))
    worker = dict(groups(service_of(own)))["worker"]
    assert budget["spec"]["minAvailable"] == worker["minReplicas"] - 1
    assert budget["spec"]["selector"]["matchLabels"].items() <= worker["template"]["metadata"]["labels"].items()
    assert "maxUnavailable" not in budget["spec"], "a RayCluster has no scale subresource"
    change(own, "min_pods: 2", "min_pods: 1")
    change(own, "cpu: 2", "cpu: 3")  # so that one holds what two held
    assert len(list(yaml.safe_load_all(render(own)))) == 1, "a budget for one pod would stop every drain"
