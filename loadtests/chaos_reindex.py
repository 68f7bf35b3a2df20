"""Reindex a collection from one encoder to another and back, under uploads, deletes and searches over HTTP.

    python -m loadtests.chaos_reindex [--items 20000] [--rounds 4] [--output FILE]

Two fake encoders of different dimensions run. Each round builds a version with the other one, aborts a first try
half-way, and swaps. Exits 1 where a request failed, an answer was mixed (the item that has the very words of a query
must be found with a cosine of 1, under the fingerprint of the answer), or an acknowledged write is not in the version
that took over.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from loadtests.chaos_retriever import verdict, wait_for_writes
from loadtests.report import circumstances, write_report
from loadtests.server_process import running_cluster
from loadtests.steady_load import steady_load

SETTINGS = {
    "CROSSRAY_ENCODER__NAME": "fake",
    "CROSSRAY_OTHER_ENCODERS": '[{"name": "fake", "options": {"dim": 96}, "scale": {"num_cpus": 0.2}}]',
}
BATCH = 250


def fill(http: httpx.Client, count: int) -> None:
    for start in range(0, count, BATCH):
        items = [{"id": f"base-{n}", "text": f"item {n} of many"} for n in range(start, min(count, start + BATCH))]
        http.post("/v1/items", json={"items": items}).raise_for_status()


def build(http: httpx.Client, encoder: str, *, abort: bool) -> dict[str, Any]:
    """A version with that encoder, to its end, or aborted after a quarter."""
    began = time.monotonic()
    body = {"encoder": encoder, "keep": False}
    begun = http.post("/v1/collections/default/reindex", json=body).raise_for_status().json()
    while True:
        time.sleep(0.2)
        versions = http.get("/v1/collections/default").raise_for_status().json()["versions"]
        found = next((version for version in versions if version["id"] == begun["id"]), None)
        if found is None:
            return {"aborted": True, "seconds": round(time.monotonic() - began, 2)}
        done = found["build"]
        if abort and done["total"] and done["done"] >= done["total"] / 4:
            http.delete(f"/v1/collections/default/versions/{begun['id']}").raise_for_status()
        elif found["state"] not in ("building", "swapping"):
            kept = {name: done[name] for name in ("phase", "total", "failed", "recall", "agreement", "detail")}
            return {"state": found["state"], **kept, "seconds": round(time.monotonic() - began, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--output", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    begun = circumstances()
    with (
        running_cluster("local", SETTINGS) as server,
        httpx.Client(base_url=server.url, timeout=120, trust_env=False) as http,
    ):
        fill(http, arguments.items)
        encoders = [model["fingerprint"] for model in http.get("/v1/models").raise_for_status().json()["data"]]
        rounds = []
        with steady_load(server.url, "write") as seen:
            wait_for_writes(seen, 20)
            for number in range(arguments.rounds):
                target = encoders[(number + 1) % 2]
                rounds.append({"abort": build(http, target, abort=True), "build": build(http, target, abort=False)})
                wait_for_writes(seen, 20)
        report = {
            "items": arguments.items,
            **verdict(server, seen),
            "fingerprints": len(seen.fingerprints),
            "versions_left": len(http.get("/v1/collections/default").raise_for_status().json()["versions"]),
            "rounds": rounds,
        }
    print(json.dumps({**begun, **report}, indent=2))
    write_report(arguments.output, report, begun)
    swapped = all(one["build"].get("state") == "live" for one in rounds)
    wrong = report["lost"] or report["doubled"] or report["deleted_and_back"] or report["faults"]
    return 1 if wrong or not swapped else 0


if __name__ == "__main__":
    sys.exit(main())
