"""The files for Ray's cluster launcher: taken by Ray's own schema, closed where its defaults are open, and in step with
the settings. No machine was started by them here."""

from __future__ import annotations

import copy
import re
import shlex
import subprocess
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.environment import image_environment, serving_environment
from cluster.manifests.launch import PROFILE, rendered
from cluster.manifests.written import drifted
from cluster.model_settings import pulled_checkpoints
from cluster.settings import load_settings

ROOT = Path(__file__).parents[3]
LAUNCH = ROOT / "cluster/launch"
NAMES = ["on-premises", "aws"]
SITE = {
    "CROSSRAY_INDEX__URI": "http://milvus.example:19530",
    "CROSSRAY_CACHE__URL": "redis://:secret@cache.example:6379/0",
    "CROSSRAY_DATABASE__URL": "postgresql+psycopg://crossray:a'b c$d@db.example/crossray",
}

Config = dict[str, Any]


@pytest.fixture(params=NAMES)
def config(request: pytest.FixtureRequest) -> Config:
    loaded: Config = yaml.safe_load((LAUNCH / f"{request.param}.yaml").read_text(encoding="utf-8"))
    return loaded


def prepared(config: Config) -> Config:
    """With the provider's defaults under it, as `ray up` does it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Ray's own
        from ray.autoscaler._private.util import prepare_config, validate_config
    done: Config = prepare_config(copy.deepcopy(config))
    validate_config(done)
    return done


def commands(config: Config) -> Iterator[str]:
    for key, value in config.items():
        if key.endswith("_commands"):
            yield from value


def test_ray_takes_it_and_adds_no_command_of_its_own(config: Config) -> None:
    done = prepared(config)
    assert sorted(commands(done)) == sorted(commands(config))
    assert done["docker"]["image"] == config["docker"]["image"]


def test_rays_schema_sees_a_misspelt_key(config: Config) -> None:
    config["file_mount"] = {}
    with pytest.raises(jsonschema.ValidationError, match="file_mount"):
        prepared(config)


def test_ray_asks_for_its_token_and_the_dashboard_stays_at_home(config: Config) -> None:
    starts = [command for command in commands(config) if "ray start" in command]
    assert len(starts) == 2
    for command in commands(config):
        if not command.startswith(("sudo", "mountpoint")):
            assert command.startswith(". ~/crossray/node.env; "), "without it Ray takes work from anybody"
    (head,) = [command for command in starts if "--head" in command]
    assert "--dashboard-host=127.0.0.1 " in head
    assert "--num-cpus=0 " in head
    assert "export RAY_AUTH_MODE=token\n" in rendered()["node.env"]
    assert "0.0.0.0" not in (LAUNCH / "aws.yaml").read_text() + (LAUNCH / "on-premises.yaml").read_text()


def test_the_flags_are_rays(config: Config) -> None:
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    for command in commands(config):
        for words in re.findall(r"ray start (.*)", " ".join(command.split())):
            assert {word.partition("=")[0] for word in shlex.split(words)} <= known


def test_on_ec2_nothing_is_opened_that_is_not_named_here() -> None:
    """Where these are not set, Ray makes a group that takes SSH from everywhere, and a role that may do anything."""
    config = yaml.safe_load((LAUNCH / "aws.yaml").read_text(encoding="utf-8"))
    assert config["provider"]["use_internal_ips"] is True
    for name, kind in prepared(config)["available_node_types"].items():
        node = kind["node_config"]
        assert node["SecurityGroupIds"], name
        assert node["IamInstanceProfile"], name
        assert node["MetadataOptions"]["HttpTokens"] == "required", name
        assert all(device["Ebs"]["Encrypted"] for device in node["BlockDeviceMappings"]), name


def test_containers_are_held_as_pods_are_and_run_the_same_image(config: Config) -> None:
    options = " ".join(config["docker"]["run_options"])
    assert "--cap-drop ALL" in options
    assert "--security-opt no-new-privileges" in options
    assert "privileged " not in options
    pods = yaml.safe_load((ROOT / "k8s/overlays/gpu/pods.yaml").read_text(encoding="utf-8"))
    assert config["docker"]["image"].rpartition("/")[2] == pods["image"]
    settings = load_settings(PROFILE)
    mounted = {option.split(":")[-1] for option in config["docker"]["run_options"] if option.startswith("-v ")}
    assert mounted == {str(settings.data_dir), str(settings.cache_dir)}


def test_models_are_pulled_before_replicas_load_them(config: Config) -> None:
    pulled = [command.partition("; ")[2] for command in config["worker_setup_commands"]]
    models = pulled_checkpoints(load_settings(PROFILE).served_models.values())
    assert pulled == [f"crossray model pull {name} --if-missing" for name, _ in models]


def test_the_image_has_what_the_head_asks_ec2_with() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(package.startswith("boto3") for package in extras["aws"])
    assert re.search(r"^ARG EXTRAS=\S*\baws\b", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_what_is_mounted_is_rendered_and_current(config: Config) -> None:
    assert config["file_mounts"]["~/crossray"] == "cluster/launch/node"
    assert drifted(LAUNCH / "node", rendered()) == [], "run  python -m cluster.manifests"
    assert {path.name for path in (LAUNCH / "node").iterdir()} == rendered().keys()
    used = {name for command in commands(config) for name in re.findall(r"~/crossray/(\S+?)[;']", command + ";")}
    assert used == rendered().keys()


def sourced(home: Path, site: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (home / "crossray-site").mkdir(exist_ok=True)
    (home / "crossray").mkdir(exist_ok=True)
    (home / "crossray-site/site.env").write_text("".join(f"{k}={shlex.quote(v)}\n" for k, v in site.items()))
    (home / "crossray/node.env").write_text(rendered()["node.env"])
    command = ["sh", "-c", ". ~/crossray/node.env; env -0"]
    variables = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_a_shell_reads_the_settings_and_the_site_above_them(tmp_path: Path) -> None:
    done = sourced(tmp_path, SITE | {"CROSSRAY_HTTP__PORT": "9000"})
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    settings = load_settings(PROFILE)
    expected = image_environment(settings) | serving_environment(settings) | SITE | {"CROSSRAY_HTTP__PORT": "9000"}
    assert expected.items() <= found.items()
    assert found["RAY_AUTH_TOKEN_PATH"] == f"{tmp_path}/crossray-site/ray-token"


@pytest.mark.parametrize("missing", SITE)
def test_ray_does_not_start_without_what_only_the_site_knows(tmp_path: Path, missing: str) -> None:
    done = sourced(tmp_path, {name: value for name, value in SITE.items() if name != missing})
    assert done.returncode != 0
    assert f"{missing}: is not in site.env" in done.stderr
