"""SIGKILL parts of Crossray on two Ray nodes under 16 searching clients and two writers, one fault after the other.

    python -m loadtests.chaos_nodes [--backend milvus] [--faults encoder,worker] [--rounds 1] [--output FILE]

The nodes are network and PID namespaces of this machine (needs Linux, root, redis-server; --backend milvus also the
package milvus): a head, whose state is in a Redis (GCS fault tolerance), and a worker. The application is deployed as
KubeRay deploys it. Faults: SIGKILL of a replica (encoder, retriever, ingress), of all processes of a node at once
(worker, head; Kubernetes would start it again, and so does this), and redeploy: a new release, replica by replica.

Clients behave as behind a load balancer: a refused connection goes to the other node, what was sent and not answered
has failed and is not repeated (loadtests/failover.py). After each fault the cluster has to become whole by itself;
then every acknowledged write must be there, and every acknowledged delete done.

Targets: no search fails where a replica behind the ingress dies or is replaced; at most one a client where an ingress
or a node dies, and none that began 3 s later; no client waits longer than 10 s (embedded) or 1 s (milvus) for its next
answer; no write is lost. Exits 1 where a write is lost or the cluster does not become whole, and 2
where only another target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from cluster.cli.output import progress
from loadtests.fault_load import CLIENTS, NOTES, WRITERS, fault_load, note
from loadtests.fault_round import BACKENDS, FAULTS, Backend, Fault, Round, document, summary
from loadtests.lan import Lan
from loadtests.network_namespace import missing_for_networks
from loadtests.node_cluster import NodeCluster, NotSettled, two_nodes, wait_for
from loadtests.node_settings import WORK_S, two_node_settings
from loadtests.outage import Writes, first_words, outage
from loadtests.ray_node import RayNode
from loadtests.redis_server import missing_for_redis
from loadtests.report import circumstances, table, write_figures, write_report
from loadtests.steady_load import walked_ids

BEFORE_S = 5.0
"""Of load before the fault."""
AFTER_S = 3.0
"""Of load when the cluster is whole again."""
FOUND_S = 60.0
LISTED_S = 10.0
"""A Milvus lists a write five seconds after it at the latest."""
RESTART_S = 2.0
"""After which Kubernetes has started a node's container again."""
IN_TURN: tuple[Fault, ...] = ("encoder", "retriever", "ingress", "redeploy", "head", "worker", "head")
"""An embedded index's retriever is on the worker at first; the worker's end puts it on the head."""
DEPLOYMENTS: dict[Fault, str] = {"encoder": "Encoder", "retriever": "Retriever", "ingress": "Ingress"}


@contextmanager
def running(backend: Backend, folder: Path, say: Callable[[str], None]) -> Iterator[NodeCluster]:
    """The cluster, with the notes stored that searches are for."""
    with ExitStack() as stack:
        lan = stack.enter_context(Lan())
        uri = None
        if backend == "milvus":
            from loadtests.milvus_server import MilvusServer

            say("starting Milvus")
            data = folder / "milvus"
            data.mkdir()
            uri = stack.enter_context(MilvusServer(data, network=lan.node())).uri
        settings = two_node_settings(backend, folder, uri)
        cluster = stack.enter_context(two_nodes(folder, lan, settings, say))
        with cluster.http() as http:
            items = [{"id": id, "text": words} for id, words in map(note, range(NOTES))]
            http.post("/v1/items", json={"items": items}).raise_for_status()
            wait_for(lambda: _unfound(http), FOUND_S)
        yield cluster


def _unfound(http: httpx.Client) -> str:
    """The first of the notes that a search does not find yet: a Milvus shows a write a moment after it."""
    for id, words in map(note, range(NOTES)):
        answer = http.post("/v1/search", json={"text": words, "top_k": 1})
        if [hit["id"] for hit in answer.raise_for_status().json()["hits"]] != [id]:
            return id
    return ""


def strike(cluster: NodeCluster, fault: Fault, moments: random.Random) -> tuple[str, set[str], float]:
    """Does it. Answers the name of the node that it hit, the ids of the replicas that are gone by it, and when."""
    before = cluster.replicas()
    if fault == "redeploy":
        at = time.monotonic()
        cluster.deploy()
        return "", {one.id for one in before}, at
    node = _victim(cluster, fault, moments)
    gone = {
        one.id
        for one in before
        if one.node == node.address and one.deployment == DEPLOYMENTS.get(fault, one.deployment)
    }
    at = time.monotonic()
    if fault in DEPLOYMENTS:
        for replica in node.replicas(DEPLOYMENTS[fault]):
            replica.kill()
    else:
        node.kill()
        time.sleep(RESTART_S)
        node.start()
    return node.name, gone, at


def _victim(cluster: NodeCluster, fault: Fault, moments: random.Random) -> RayNode:
    if fault in ("worker", "head"):
        return cluster.worker if fault == "worker" else cluster.head
    return moments.choice([node for node in cluster.nodes if node.replicas(DEPLOYMENTS[fault])])


def one_round(cluster: NodeCluster, fault: Fault, backend: Backend, mark: str, moments: random.Random) -> Round:
    """A fault under load, and what was left when the cluster was whole again."""
    retriever_on = " ".join(node.name for node in cluster.nodes if node.replicas("Retriever"))
    with fault_load(cluster.urls, cluster.api_key, mark) as seen:
        time.sleep(BEFORE_S)
        hit, gone, at = strike(cluster, fault, moments)
        cluster.wait_settled(gone)
        whole_s = time.monotonic() - at
        time.sleep(AFTER_S)
        until = time.monotonic()
    stored = _listed(cluster, seen.writes)
    return Round(
        fault=fault,
        backend=backend,
        hit=hit,
        retriever_on=retriever_on,
        outage=outage(seen.searches, at, until),
        acknowledged=seen.writes.acknowledged,
        refused=first_words(seen.writes.refused),
        lost=seen.writes.lost(stored),
        doubled=len(stored) - len(set(stored)),
        whole_s=round(whole_s, 1),
    )


def _listed(cluster: NodeCluster, writes: Writes) -> list[str]:
    """The ids of all items, as they stand when the last writes show, or LISTED_S later."""
    deadline = time.monotonic() + LISTED_S
    while writes.lost(stored := walked_ids(cluster.urls[0], cluster.api_key)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return stored


def run(backend: Backend, faults: list[Fault], rounds: int, logs: Path | None) -> tuple[list[Round], str]:
    """Each fault `rounds` times, in this order; and what was missing in the end, where one was not got over. Logs of
    the nodes are left in `logs`."""
    moments, results, missing = random.Random(0), list[Round](), ""
    turns = [(number, fault) for number in range(rounds) for fault in faults]
    with tempfile.TemporaryDirectory(prefix="cray-") as folder, progress(backend, len(turns)) as advance:

        def say(what: str) -> None:
            print(f"{backend}: {what}", file=sys.stderr, flush=True)

        with running(backend, Path(folder), say) as cluster:
            try:
                for number, fault in turns:
                    results.append(one_round(cluster, fault, backend, f"{fault}-{number}", moments))
                    say(json.dumps(results[-1].content()))
                    advance(1)
            except NotSettled as error:
                missing = f"{fault}: {error}"
                say(missing)
            finally:
                if logs is not None:
                    for node in cluster.nodes:
                        node.copy_logs(logs)
    return results, missing


def main() -> int:
    arguments = _arguments()
    for name in [name for name in os.environ if name.startswith(("CROSSRAY_", "RAY_"))]:
        del os.environ[name]  # of this process, and not of the nodes
    begun = circumstances()
    try:
        results, missing = run(arguments.backend, arguments.faults, arguments.rounds, arguments.logs)
    except KeyboardInterrupt:
        print("chaos_nodes: interrupted; the nodes are gone", file=sys.stderr)
        return 130
    rounds = [one.content() for one in results]
    if rounds:
        print(table(summary(rounds)))
    runs = {**_runs_before(arguments.output), arguments.backend: begun | {"rounds": rounds, "not_got_over": missing}}
    report = {"clients": CLIENTS, "writers": WRITERS, "encoder_work_s": WORK_S, "runs": dict(sorted(runs.items()))}
    write_report(arguments.output, report, begun)
    if arguments.doc:
        write_figures(arguments.doc, "chaos_nodes", document(report))
    if missing or any(one.lost or one.doubled for one in results):
        return 1
    return 2 if any(one.missed() for one in results) else 0


def _runs_before(output: Path | None) -> dict[str, Any]:
    """Of the other back end, which stay in the file beside this one's."""
    if output is None or not output.exists():
        return {}
    before: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))["runs"]
    return before


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=BACKENDS, default=BACKENDS[0], help="of the index (%(default)s)")
    parser.add_argument("--faults", default=",".join(IN_TURN), help="some of %(default)s, in this order")
    parser.add_argument("--rounds", type=int, default=1, help="how often each (%(default)s)")
    parser.add_argument("--output", type=Path, help="write the result here, beside another back end's")
    parser.add_argument("--logs", type=Path, help="leave the logs of the nodes in this folder")
    parser.add_argument("--doc", type=Path, help="write the table between the markers of this document")
    arguments = parser.parse_args()
    arguments.faults = arguments.faults.split(",")
    if unknown := set(arguments.faults) - set(FAULTS):
        parser.error(f"no fault is called {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    if reason := missing_for_networks() or missing_for_redis():
        parser.exit(3, f"chaos_nodes: not possible here: {reason}\n")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
