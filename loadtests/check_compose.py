"""Runs what compose.yaml describes as plain processes, where there is no engine: with each service's own variables,
commands and health checks, by the names it gives them, in a network and a process space of their own.

    unshare --mount --net --pid --fork --kill-child --mount-proc python -m loadtests.check_compose FOLDER

As root, with redis-server, PostgreSQL and Prometheus installed. Crossray runs from this environment in place of its
image, and Milvus is the server that the package milvus brings (2.3.5). Grafana is left out, and so is what an engine
adds: images, users, limits, mounts. Everything it starts ends with it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

import yaml

from k8s.check_container import KEY, call, say

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "compose"
PASSWORDS = {f"{name}_PASSWORD": f"{name.lower()}-secret" for name in ("MILVUS", "POSTGRES", "REDIS", "GRAFANA")}
POSTGRES_BIN = max(Path("/usr/lib/postgresql").glob("*/bin"))
START_S = 240


def main(folder: Path) -> None:
    services = yaml.safe_load(substituted((HERE / "compose.yaml").read_text(encoding="utf-8")))["services"]
    name_services_in(folder, services)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    stack = Stack(folder, services)
    stack.start_redis()
    stack.start_postgres()
    stack.start_milvus()
    for name in ("redis", "postgres", "milvus"):
        stack.wait_healthy(name)
    stack.start_crossray()
    stack.start_prometheus()
    api = "http://127.0.0.1:7860"
    answered = wait(lambda: stack.has_ended("crossray") or call(f"{api}/health/ready")[0] == 200)
    say("crossray up --first-key is ready", answered and not stack.has_ended("crossray"), stack.said("crossray"))
    (key,) = KEY.findall(" ".join(stack.said("crossray").split()))
    say("the API refuses who has no key", call(f"{api}/v1/models")[0] == 401)
    status, stored = call(f"{api}/v1/items", {"text": "a cat asleep"}, key)
    say("the printed key stores", status == 201, str(stored))
    question = {"text": "a cat asleep", "target": "any"}

    def finds() -> bool:
        """Milvus answers by what it knew a moment ago."""
        status, answer = call(f"{api}/v1/search", question, key)
        return status == 200 and [hit["id"] for hit in answer["hits"]] == [stored["id"]]

    say("what was stored is found", wait(finds, 30), str(call(f"{api}/v1/search", question, key)))
    keys = stack.run("crossray", [sys.executable, "-m", "cluster.cli", "keys", "list", "--json"]).stdout
    say("the key is in PostgreSQL", [one["name"] for one in json.loads(keys)] == ["first"], keys)
    stack.wait_healthy("prometheus")
    for job in ("crossray", "prometheus", "milvus"):
        say(f"Prometheus scrapes {job}", wait(lambda job=job: value(f'up{{job="{job}"}}') == 1, 60))
    say("with Crossray's own metrics", wait(lambda: value("count(ray_crossray_request_seconds_count)") > 0, 60))
    rules = call("http://127.0.0.1:9090/api/v1/rules")[1]["data"]["groups"]
    say(
        "and the rules",
        {group["name"] for group in rules} == {"crossray-objectives", "crossray-parts"},
        str(rules)[:500],
    )
    asked = {7860, 9090, 6379, 5432, 19530} | milvus_ports()
    # Serve's own proxy listens as widely as the ingress, before the same API.
    others = {port for port in wide_ports() - asked if call(f"http://127.0.0.1:{port}/v1/models")[0] != 401}
    say("nothing else listens widely but what asks for a key", not others, str(others))


def substituted(text: str) -> str:
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: PASSWORDS[found[1]], text)
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text).replace("$$", "$")


def name_services_in(folder: Path, services: dict[str, Any]) -> None:
    """In this mount namespace alone, every service's name is this machine."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(services)}\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


class Stack:
    """The processes, each in a folder of its own below `folder`, where its log is too."""

    def __init__(self, folder: Path, services: dict[str, Any]) -> None:
        self._folder = folder
        self._services = services
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_redis(self) -> None:
        self._start("redis", self._services["redis"]["command"])

    def start_postgres(self) -> None:
        variables = self._variables("postgres")
        data, password = self._of("postgres") / "data", self._of("postgres") / "password"
        password.write_text(variables["POSTGRES_PASSWORD"])
        subprocess.run(["chown", "-R", "postgres:", self._of("postgres")], check=True)
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        user = f"--username={variables['POSTGRES_USER']}"
        initialise = [f"{POSTGRES_BIN}/initdb", "-D", str(data), user, f"--pwfile={password}"]
        subprocess.run(
            [*as_postgres, *initialise, *variables["POSTGRES_INITDB_ARGS"].split()],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        server = [f"{POSTGRES_BIN}/postgres", "-D", str(data), "-k", str(self._of("postgres")), "-h", "0.0.0.0"]
        self._start("postgres", [*as_postgres, *server])
        create = [
            f"{POSTGRES_BIN}/createdb",
            "-h",
            "127.0.0.1",
            "-U",
            variables["POSTGRES_USER"],
            variables["POSTGRES_DB"],
        ]
        variables["PGPASSWORD"] = variables["POSTGRES_PASSWORD"]
        made = wait(lambda: subprocess.run(create, env=variables, capture_output=True, check=False).returncode == 0, 60)
        say("PostgreSQL takes its password", made, self.said("postgres"))

    def start_milvus(self) -> None:
        from milvus import MilvusServerConfig, _initialize_data_files

        folder = self._of("milvus")
        _initialize_data_files(str(folder))
        config = MilvusServerConfig(data_dir=str(folder))
        config.resolve_storage()
        config.write_config()
        own = {"ETCD_DATA_DIR": f"{folder}/etcd", "ETCD_CONFIG_PATH": str(HERE / "milvus-etcd.yaml")}
        own |= {"LD_LIBRARY_PATH": f"{folder}/bin", "METRICS_PORT": "9091", "MILVUS_RUN_DIR": f"{folder}/run"}
        command = self._services["milvus"]["command"]
        self._start("milvus", [f"{folder}/bin/{command[0]}", *command[1:]], own)

    def start_crossray(self) -> None:
        self._start("crossray", [sys.executable, "-m", "cluster.cli", *image_command()[1:]])

    def start_prometheus(self) -> None:
        places = {"/etc/prometheus/prometheus.yaml": f"{self._of('prometheus')}/prometheus.yaml"}
        places["/prometheus"] = f"{self._of('prometheus')}/data"
        (self._of("prometheus") / "prometheus.yaml").write_text((HERE / "prometheus.yaml").read_text())
        (self._of("prometheus") / "rules").symlink_to(ROOT / "k8s/components/monitoring/prometheus")
        flags = [flag.partition("=") for flag in self._services["prometheus"]["command"]]
        self._start("prometheus", ["prometheus", *(f"{name}={places.get(word, word)}" for name, _, word in flags)])

    def wait_healthy(self, name: str) -> None:
        test = self._services[name]["healthcheck"]["test"]
        command = test[1:] if test[0] == "CMD" else ["sh", "-c", test[1]]

        def healthy() -> bool:
            return self.run(name, command).returncode == 0

        say(f"{name} is healthy by its own check", wait(healthy, 120), self.said(name))

    def run(self, name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """As `docker compose exec` would."""
        return subprocess.run(command, env=self._variables(name), capture_output=True, text=True, check=False)

    def has_ended(self, name: str) -> bool:
        return self._processes[name].poll() is not None

    def said(self, name: str) -> str:
        return (self._folder / name / "log").read_text(errors="replace")[-6000:]

    def _start(self, name: str, command: list[str], variables: dict[str, str] | None = None) -> None:
        with (self._of(name) / "log").open("wb") as log:
            environment = self._variables(name) | (variables or {})
            self._processes[name] = subprocess.Popen(
                command, cwd=self._of(name), env=environment, stdout=log, stderr=log
            )

    def _of(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(exist_ok=True, parents=True)
        return folder

    def _variables(self, name: str) -> dict[str, str]:
        given = self._services[name].get("environment", {})
        variables = {key: str(value) for key, value in given.items() if value is not None}
        own = {"PATH": os.environ["PATH"], "HOME": str(self._of(name))}
        if name == "crossray":
            own |= image_variables() | {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "OMP_NUM_THREADS": "1"}
            places = {f"CROSSRAY_{part}_DIR": f"{self._of(name)}/{part.lower()}" for part in ("DATA", "CACHE")}
            # 2.3.5 asks who calls when it is told to, and knows no other password for its root than its makers'.
            places["CROSSRAY_INDEX__TOKEN"] = "root:Milvus"
            return own | variables | places | {"RAY_raylet_start_wait_time_s": "180"}
        return variables | own


def image_variables() -> dict[str, str]:
    return dict(re.findall(r"^ +(CROSSRAY_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


def image_command() -> list[str]:
    (command,) = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    parsed: list[str] = json.loads(command)
    return parsed


def wide_ports() -> set[int]:
    """Ports that listen beyond loopback."""
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    local = [line.split()[3].rpartition(":") for line in listening.splitlines()]
    return {int(port) for host, _, port in local if not host.startswith(("127.", "[::1]", "[::ffff:127."))}


def milvus_ports() -> set[int]:
    """Milvus's parts call each other on ports of their own, in a container of their own."""
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in listening.splitlines() if '"milvus"' in line]
    return {int(line.split()[3].rpartition(":")[2]) for line in lines}


def value(expression: str) -> float:
    query = urllib.parse.urlencode({"query": expression})
    status, answer = call(f"http://127.0.0.1:9090/api/v1/query?{query}")
    result = answer["data"]["result"] if status == 200 else []
    return float(result[0]["value"][1]) if result else 0.0


def wait(is_true: Any, timeout_s: float = START_S) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if is_true():
            return True
        time.sleep(1)
    return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an empty folder, for data and logs")
    given = parser.parse_args().folder.resolve()
    if os.getpid() != 1:  # it changes /etc/hosts, and listens on every interface
        parser.error("run it in namespaces of its own, by unshare as above")
    main(given)
