"""What a request costs by the way in: Serve's proxies, the profile `throughput` (an HAProxy), or a direct ingress.

    python -m loadtests.bench_throughput --output loadtests/results/bench_throughput.json

Text searches and uploads at 8, 32 and 64 clients with an encoder that is free, so that what is left is serving: CPU
milliseconds a request of all server processes, the HAProxy among them, and requests a second. Each way has a cluster of
its own, one after the other, with an API key; the proxies and the direct ingress that of the profile `local`. The load
generator is not among the server's processes. All of it runs in a network namespace without any link but loopback, for
an HAProxy listens on every interface: needs Linux and root.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deployments.thread_names import DEVICE, PREPARE
from loadtests.bench_serving import Load
from loadtests.load import closed_loop
from loadtests.network_namespace import missing_for_networks
from loadtests.report import circumstances, table, write_report
from loadtests.server_process import running_cluster

WAYS = {"proxy": "local", "haproxy": "throughput", "direct": "local"}
"""And the profile of each."""
CLIENTS = (8, 32, 64)
SEED_S = 3.0
WARM_S = 1.0
TARGET_CPU_MS, TARGET_SHARE = 2.5, 0.5
INSIDE = "CROSSRAY_BENCH_INSIDE"


def measure(way: str, entry: str, key: str, seconds: float) -> list[dict[str, Any]]:
    """One row for each kind of request and number of clients."""
    settings = {
        "CROSSRAY_ENCODER__NAME": "fake",
        "CROSSRAY_HTTP__HOST": "0.0.0.0",
        "CROSSRAY_RAY__INGRESS": way,
        "CROSSRAY_AUTH__STATIC_KEYS": entry,
    }
    load = Load(key)
    rows = []
    with running_cluster(WAYS[way], settings) as process:
        url = process.url.replace("0.0.0.0", "127.0.0.1")
        asyncio.run(closed_loop(url, load.upload, clients=8, seconds=SEED_S))
        for kind, make in (("search", load.search), ("upload", load.upload)):
            for clients in CLIENTS:
                asyncio.run(closed_loop(url, make, clients=clients, seconds=WARM_S))
                before, own_before = process.cpu_s(), process.threads_cpu_s((DEVICE, PREPARE))
                report = asyncio.run(closed_loop(url, make, clients=clients, seconds=seconds))
                own = process.threads_cpu_s((DEVICE, PREPARE)) - own_before
                rows.append(
                    {
                        "way": way,
                        "request": kind,
                        "clients": clients,
                        "requests_per_s": report.per_second,
                        "p50_ms": report.percentile_ms(50),
                        "p99_ms": report.percentile_ms(99),
                        "serving_cpu_ms": 1000 * (process.cpu_s() - before - own) / len(report.answers),
                    }
                )
    return rows


def _new_key() -> tuple[str, str]:
    """An API key and its entry for `auth.static_keys`, which holds no secret."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cluster.cli", "keys", "create", "--name", "bench", "--scope", "write"]
        environment = os.environ | {"CROSSRAY_DATA_DIR": folder}
        command += ["--for-secret", "--json"]
        made = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    return made["key"], made["entry"]


def verdicts(rows: list[dict[str, Any]]) -> dict[str, bool]:
    cost = {(row["way"], row["request"]): row["serving_cpu_ms"] for row in rows if row["clients"] == 32}
    found = {}
    for kind in ("search", "upload"):
        if ("haproxy", kind) in cost and ("proxy", kind) in cost:
            share = cost["haproxy", kind] / cost["proxy", kind]
            found[f"{kind}: haproxy at most {TARGET_SHARE:g} x the proxies' CPU at 32 clients"] = share <= TARGET_SHARE
            found[f"{kind}: haproxy at most {TARGET_CPU_MS:g} CPU-ms at 32 clients"] = (
                cost["haproxy", kind] <= TARGET_CPU_MS
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement [6]")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        if reason := missing_for_networks():
            raise SystemExit(f"this cannot be measured here: {reason}")
        script = 'ip link set lo up && exec "$0" "$@"'
        inside = ["unshare", "--net", "sh", "-c", script, sys.executable, "-m", "loadtests.bench_throughput"]
        os.execvpe("unshare", inside + sys.argv[1:], os.environ | {INSIDE: "1"})
    begun = circumstances()
    key, entry = _new_key()
    rows: list[dict[str, Any]] = []
    for way in arguments.ways:
        rows += measure(way, entry, key, arguments.seconds)
        write_report(arguments.output, {"targets_met": verdicts(rows), "load": rows}, begun)
    print(table(rows))
    print("\n".join(f"{name}: {value}" for name, value in verdicts(rows).items()))


if __name__ == "__main__":
    main()
