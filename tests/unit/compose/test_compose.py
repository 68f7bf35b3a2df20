"""The compose files: taken by the official schema, closed to other machines, and with settings that Crossray has.

They were never started: there is no engine here. What an engine would add is the images and their own entry points.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from compose_files import BASE, FOLDER, GPU, PASSWORDS, ROOT, Missing, Model, load
from pydantic import BaseModel

from cluster.model_settings import pulled_checkpoints
from cluster.page import page_obstacle
from cluster.settings import Settings, load_settings
from tests.prometheus_tools import prometheus_tool

SCHEMA = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
FILES = {"cpu": (BASE,), "gpu": (BASE, GPU)}
HOSTS = {"milvus", "postgres", "redis", "pod"}
PINNED = re.compile(r"^[\w./-]+:v?\d[\w.-]*$")


@pytest.fixture(params=FILES)
def model(request: pytest.FixtureRequest) -> Model:
    return load(*FILES[request.param], **PASSWORDS)


def services(model: Model) -> dict[str, Model]:
    found: dict[str, Model] = model["services"]
    return found


def settings_of(model: Model, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What `crossray up` reads in the container: the image's variables, the file's over them."""
    for name in list(os.environ):
        if name.startswith("CROSSRAY_"):
            monkeypatch.delenv(name)
    for name, value in (image_variables() | services(model)["crossray"]["environment"]).items():
        if value is not None:
            monkeypatch.setenv(name, str(value))
    command = services(model)["crossray"].get("command", [])
    return load_settings(command[command.index("--profile") + 1] if "--profile" in command else None)


def image_variables() -> dict[str, str]:
    return dict(re.findall(r"^ +(CROSSRAY_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("file", [BASE, GPU], ids=lambda file: file.name)
def test_the_official_schema_takes_it(file: Path) -> None:
    """Schema: the compose specification's own, as the package check-jsonschema carries it."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(content)] == []
    content["services"]["crossray"]["shm_sizes"] = "1g"
    assert list(validator.iter_errors(content)), "it would not see a misspelt key"


def test_no_service_goes_without_what_its_kind_should_have(model: Model) -> None:
    for name, service in services(model).items():
        assert service["restart"] == "unless-stopped", name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.keys() & {"privileged", "pid", "ipc", "cap_add", "devices", "env_file"}, name
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys(), name
        assert PINNED.match(service["image"]), service["image"]
        assert "latest" not in service["image"]
        # Crossray's is the image's; what only sleeps has none.
        assert ("test" in service.get("healthcheck", {})) != (name in ("crossray", "pod")), name


def test_only_this_machine_gets_in_unless_it_is_asked_for() -> None:
    published = {
        name: service["ports"] for name, service in services(load(BASE, **PASSWORDS)).items() if "ports" in service
    }
    assert published == {
        "pod": ["127.0.0.1:7860:7860", "127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    wider = services(load(BASE, **PASSWORDS, CROSSRAY_ADDRESS="0.0.0.0"))["pod"]["ports"]
    assert wider == ["0.0.0.0:7860:7860", "127.0.0.1:9090:9090"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_it_does_not_start_without_each_password(password: str) -> None:
    with pytest.raises(Missing, match=password):
        load(BASE, **{name: value for name, value in PASSWORDS.items() if name != password})


def test_no_secret_is_in_the_repository(model: Model) -> None:
    for name, service in services(model).items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|AUTH$|URL$", variable) and value is not None:
                assert any(password in value for password in PASSWORDS.values()), (name, variable)
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/compose/.env" in ignored


def test_every_variable_of_crossray_is_a_setting(model: Model) -> None:
    """What is misspelt at the top of the tree would be passed over in silence."""
    variables = [name for name in services(model)["crossray"]["environment"] if name.startswith("CROSSRAY_")]
    assert len(variables) > 6
    for variable in variables:
        branch: Any = Settings
        for part in variable.removeprefix("CROSSRAY_").lower().split("__"):
            assert part in branch.model_fields, variable
            annotation = branch.model_fields[part].annotation
            branch = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def test_the_settings_are_those_of_the_services_beside_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(model, monkeypatch)
    assert settings.index.backend == "milvus"
    assert settings.index.uri == "http://milvus:19530"
    secrets = (settings.index.token, settings.cache.url, settings.database.url)
    assert [secret.get_secret_value() for secret in secrets if secret is not None] == [
        "root:m1",
        "redis://:r1@redis:6379/0",
        "postgresql+psycopg://crossray:p1@postgres:5432/crossray",
    ]
    beside = services(model)
    assert beside.keys() >= HOSTS
    assert beside["milvus"]["environment"]["COMMON_SECURITY_DEFAULTROOTPASSWORD"] == "m1"
    assert beside["postgres"]["environment"]["POSTGRES_PASSWORD"] == "p1"
    assert beside["redis"]["environment"]["REDISCLI_AUTH"] == "r1"


def test_the_page_runs_where_the_port_is_published(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(model, monkeypatch)
    assert settings.ray.ingress == "direct"
    assert page_obstacle(settings) is None
    assert settings.http.host == "0.0.0.0", "a published port comes in by the container's own address"
    assert f":{settings.http.port}:{settings.http.port}" in services(model)["pod"]["ports"][0]
    assert settings.requires_keys is True


def test_volumes_are_where_the_settings_write(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(model, monkeypatch)
    crossray = services(model)["crossray"]
    targets = {mount.split(":")[1] for mount in crossray["volumes"]}
    assert {str(settings.data_dir), str(settings.cache_dir)} == targets
    assert crossray["shm_size"] == "1280m"
    assert settings.ray.object_store_bytes < 1280 << 20
    named = {mount.split(":")[0] for service in services(model).values() for mount in service.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == model["volumes"].keys()


def test_what_is_mounted_is_in_the_repository(model: Model) -> None:
    mounts = [mount for service in services(model).values() for mount in service.get("volumes", [])]
    ours = [mount for mount in mounts if mount.startswith(".")]
    assert len(ours) == 6
    for mount in ours:
        source, _, mode = mount.split(":")
        assert (FOLDER / source).exists(), source
        assert mode == "ro", mount


def test_crossray_waits_for_those_it_needs_and_shares_the_pods_network(model: Model) -> None:
    crossray, prometheus = services(model)["crossray"], services(model)["prometheus"]
    assert crossray["network_mode"] == prometheus["network_mode"] == "service:pod"
    waits = {name: rule["condition"] for name, rule in crossray["depends_on"].items()}
    assert waits.pop("pod") == "service_started"
    assert waits == dict.fromkeys(("milvus", "postgres", "redis"), "service_healthy")
    for name, rule in (
        (n, r) for service in services(model).values() for n, r in service.get("depends_on", {}).items()
    ):
        assert rule["condition"] != "service_healthy" or "test" in services(model)[name]["healthcheck"], name
    for store in waits:
        assert services(model)[store]["networks"] == ["stores"], "stores are on the network that leads nowhere"
    assert model["networks"]["stores"] == {"internal": True}
    assert "stores" in services(model)["pod"]["networks"]


def test_with_a_gpu_the_model_is_pulled_and_the_gpu_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(*FILES["gpu"], **PASSWORDS)
    crossray = services(model)["crossray"]
    assert pulled_checkpoints(settings_of(model, monkeypatch).served_models.values()) == [
        ("Qwen/Qwen3-VL-Embedding-2B", None)
    ]
    assert {"--pull", "--first-key"} <= set(crossray["command"])
    assert crossray["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert crossray["deploy"]["resources"]["limits"]["memory"] == "24g"


def test_prometheus_takes_its_configuration_and_scrapes_rays_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(load(BASE, **PASSWORDS), monkeypatch)
    shutil.copy(FOLDER / "prometheus.yaml", tmp_path)
    rules = next(mount for mount in services(load(BASE, **PASSWORDS))["prometheus"]["volumes"] if "rules" in mount)
    shutil.copytree(FOLDER / rules.split(":")[0], tmp_path / "rules")
    done = subprocess.run(
        [prometheus_tool("promtool"), "check", "config", "--lint=all", "--lint-fatal", "prometheus.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "crossray.rules.yaml" in done.stdout
    config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets["crossray"] == [f"127.0.0.1:{settings.ray.metrics_port}"]


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = yaml.safe_load((FOLDER / "grafana/datasource.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards.yaml").read_text())["providers"]
    mounts = services(load(BASE, **PASSWORDS))["grafana"]["volumes"]
    (dashboards,) = [mount.split(":") for mount in mounts if "monitoring/dashboards" in mount]
    assert source["url"] == "http://pod:9090"
    assert provider["options"]["path"] == dashboards[1]
    boards = [json.loads(path.read_text()) for path in (FOLDER / dashboards[0]).glob("*.json")]
    # Dashboards ask for the datasource by kind: Grafana takes the default one.
    assert source["isDefault"] is True
    assert {board["templating"]["list"][0]["query"] for board in boards} == {source["type"]}
