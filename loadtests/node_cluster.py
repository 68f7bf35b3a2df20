"""Crossray on two Ray nodes of one machine, deployed as KubeRay deploys it: a head and a worker, each a `RayNode`.

The head keeps its state in a Redis (GCS fault tolerance). The application is `cluster.manifests`' own Serve config,
sent to the head's dashboard. Replicas run on both nodes, one of a deployment on each; both nodes have the data folder,
as pods have a ReadWriteMany volume. Nothing listens beyond this machine, and Ray and the API both ask for a key.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cluster.environment import pod_environment
from cluster.manifests.serve_config import serve_config
from cluster.settings import Settings
from deployments.keys.api_key import ApiKey, digest_of, generate
from loadtests.lan import Lan
from loadtests.ray_node import RayNode, node_environment
from loadtests.redis_server import RedisServer
from loadtests.report import ROOT

START_S = 240.0
SETTLED_S = 90.0
GCS_PORT = 6379
DASHBOARD_PORT = 8265
SESSION = "ray"
WORKER_LABELS = {"role": "worker"}
"""Of the worker node, for `preferred_labels`."""
CPUS = 2.0
"""Logical, of each node: enough for all replicas when the other one is gone."""


class NotSettled(RuntimeError):
    """The cluster did not become whole in time; the message says what was missing last."""


@dataclass(frozen=True, slots=True)
class Replica:
    """`node` is its node's address."""

    id: str
    deployment: str
    node: str


@dataclass
class NodeCluster:
    """Both nodes, and what an operator asks of them."""

    head: RayNode
    worker: RayNode
    api_key: str
    settings: Settings
    release: int = 0
    _token: str = field(default="", repr=False)

    @property
    def nodes(self) -> tuple[RayNode, RayNode]:
        return (self.head, self.worker)

    @property
    def urls(self) -> list[str]:
        """Of the API: Serve's proxy on each node."""
        return [f"http://{node.address}:{self.settings.http.port}" for node in self.nodes]

    def deploy(self) -> None:
        """What KubeRay does with a changed `serveConfigV2`. Each call is another release, and rolls every replica."""
        self.release += 1
        config = serve_config(self.settings)
        config["applications"][0]["runtime_env"] = {"env_vars": {"RELEASE": str(self.release)}}
        with self._dashboard() as http:
            http.put("/api/serve/applications/", json=config).raise_for_status()

    def replicas(self) -> list[Replica]:
        return [
            Replica(replica["replica_id"], name, replica["node_ip"])
            for name, deployment in self._application().get("deployments", {}).items()
            for replica in deployment["replicas"]
        ]

    def wait_settled(self, gone: Collection[str] = (), timeout_s: float = SETTLED_S) -> None:
        """Until every deployment has its replicas, none of them in `gone`, and both nodes answer. Raises NotSettled."""
        wait_for(lambda: self._unsettled(set(gone)), timeout_s)

    def http(self) -> httpx.Client:
        """For the API, through a node that is there."""
        return httpx.Client(
            base_url=self.urls[0],
            timeout=30,
            trust_env=False,
            headers={"Authorization": f"Bearer {self.api_key}"},
        )

    def _unsettled(self, gone: set[str]) -> str:
        """What is still missing; empty where nothing is."""
        try:
            application = self._application()
            if application.get("status") != "RUNNING":
                return f"the application is {application.get('status')}: {application.get('message', '')[-300:]}"
            for name, deployment in application["deployments"].items():
                running = [one for one in deployment["replicas"] if one["state"] == "RUNNING"]
                if deployment["status"] != "HEALTHY" or len(running) != len(deployment["replicas"]):
                    return f"{name} is {deployment['status']}: {deployment['message'][-300:]}"
                if left := gone & {one["replica_id"] for one in running}:
                    return f"{name}: {left} is to go"
            for url in self.urls:
                with httpx.Client(base_url=url, timeout=5, trust_env=False) as http:
                    if (answer := http.get("/health/ready")).status_code != 200:
                        return f"{url} answers {answer.status_code}: {answer.text[:200]}"
        except httpx.HTTPError as error:
            return repr(error)
        return ""

    def _application(self) -> dict[str, Any]:
        with self._dashboard() as http:
            answer = http.get("/api/serve/applications/")
            answer.raise_for_status()
            found: dict[str, Any] = answer.json().get("applications", {}).get("crossray", {})
            return found

    def _dashboard(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://{self.head.address}:{DASHBOARD_PORT}",
            timeout=30,
            trust_env=False,
            headers={"Authorization": f"Bearer {self._token}"},
        )


@contextlib.contextmanager
def two_nodes(folder: Path, lan: Lan, settings: Settings, say: Callable[[str], None]) -> Iterator[NodeCluster]:
    """A head and a worker that serve; all of it ends with the block.

    Raises RuntimeError where a node does not start, NotSettled.
    """
    settings.data_dir.mkdir()
    password, token = secrets.token_hex(16), secrets.token_hex(32)
    id, api_key = generate()
    entry = ApiKey(id, "admin", digest_of(api_key)).entry()
    with RedisServer(folder, password, lan.address) as redis:
        common = pod_environment(settings) | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "CROSSRAY_AUTH__STATIC_KEYS": entry,
            "RAY_raylet_start_wait_time_s": "180",
        }
        head_only = {"RAY_REDIS_ADDRESS": redis.address, "RAY_external_storage_namespace": "chaos"}
        worker_only = {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
        arguments = _head_arguments(password, folder / SESSION)
        head = _node(folder, lan, "head", settings, common | head_only, arguments)
        labels = ",".join(f"{name}={value}" for name, value in WORKER_LABELS.items())
        joins = [f"--address={head.address}:{GCS_PORT}", f"--labels={labels}"]
        worker = _node(folder, lan, "worker", settings, common | worker_only, joins)
        cluster = NodeCluster(head, worker, api_key, settings, _token=token)
        try:
            say("starting the head")
            head.start()
            wait_for(lambda: _unreachable(cluster, head), START_S)
            say("starting the worker")
            worker.start()
            wait_for(lambda: _unregistered(cluster), START_S)
            say("deploying")
            cluster.deploy()
            cluster.wait_settled(timeout_s=START_S)
            yield cluster
        finally:
            for node in cluster.nodes:
                node.kill()


def wait_for(missing: Callable[[], str], timeout_s: float) -> None:
    """Until nothing is missing. Raises NotSettled with what was."""
    deadline = time.monotonic() + timeout_s
    while what := missing():
        if time.monotonic() > deadline:
            raise NotSettled(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.2)


def _node(
    folder: Path, lan: Lan, name: str, settings: Settings, environment: Mapping[str, str], arguments: list[str]
) -> RayNode:
    home = folder / f"{name}-home"
    home.mkdir()
    sizes = [f"--num-cpus={CPUS:g}", f"--object-store-memory={settings.ray.object_store_bytes}"]
    env = node_environment(ROOT, home, environment)
    return RayNode(name, lan.node(), [*sizes, *arguments], env, folder / name, folder / SESSION)


def _head_arguments(redis_password: str, session: Path) -> list[str]:
    return [
        "--head",
        f"--temp-dir={session}",
        f"--port={GCS_PORT}",
        f"--redis-password={redis_password}",
        "--dashboard-host=0.0.0.0",
        f"--dashboard-port={DASHBOARD_PORT}",
    ]


def _unreachable(cluster: NodeCluster, node: RayNode) -> str:
    if not node.is_running:
        raise RuntimeError(f"a node did not start: {node.last_words()}")
    try:
        cluster.replicas()
    except httpx.HTTPError as error:
        return f"{error!r}; {node.last_words()[-500:]}"
    return ""


def _unregistered(cluster: NodeCluster) -> str:
    if not cluster.worker.is_running:
        raise RuntimeError(f"a node did not start: {cluster.worker.last_words()}")
    with cluster._dashboard() as http:
        nodes = http.get("/nodes", params={"view": "summary"}).json()["data"]["summary"]
    alive = sum(node["raylet"].get("state") == "ALIVE" for node in nodes)
    return "" if alive == len(cluster.nodes) else f"{alive} nodes are alive"
