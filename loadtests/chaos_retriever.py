"""SIGKILL the retriever of a running cluster under uploads, deletes and searches, again and again.

    python -m loadtests.chaos_retriever [--rounds 20] [--output FILE]

After each kill the API has to come back by itself. In the end every acknowledged item must be there once, and no
deleted one. Exits 1 where one is lost, doubled or back. Faults that clients saw are counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from loadtests.report import circumstances, write_report
from loadtests.server_process import ServerProcess, running_cluster
from loadtests.steady_load import Seen, steady_load, walked_ids

BACK_S = 120.0
BETWEEN = 60
"""Acknowledged writes between two kills."""
SETTINGS = {"CROSSRAY_ENCODER__NAME": "fake", "CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.005}'}


def replica(server: ServerProcess, name: str) -> psutil.Process | None:
    """The process of a deployment's only replica; None while there is none."""
    for process in psutil.Process(server.pid).children(recursive=True):
        try:
            if process.cmdline()[:1] == [f"ray::ServeReplica:crossray:{name}"]:
                return process
        except psutil.Error:
            continue
    return None


def wait_for_writes(seen: Seen, more: int) -> float:
    """Seconds until so many further writes were acknowledged. Raises TimeoutError."""
    began, wanted = time.monotonic(), len(seen.kept) + more
    while len(seen.kept) < wanted:
        if time.monotonic() - began > BACK_S:
            raise TimeoutError(f"no {more} writes within {BACK_S:g} s")
        time.sleep(0.02)
    return time.monotonic() - began


def kill_one(server: ServerProcess, seen: Seen, name: str) -> dict[str, Any]:
    """Kills the replica; answers how long it took until the first write after it."""
    while (victim := replica(server, name)) is None:
        time.sleep(0.05)
    faults = len(seen.faults)
    victim.kill()
    stalled_s = wait_for_writes(seen, 1)
    wait_for_writes(seen, BETWEEN)
    return {"stalled_s": round(stalled_s, 2), "faults": len(seen.faults) - faults}


def verdict(server: ServerProcess, seen: Seen) -> dict[str, Any]:
    """What is wrong with what is stored."""
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
        http.get("/health/ready").raise_for_status()
    walked = walked_ids(server.url)
    return {
        "acknowledged": len(seen.kept) + len(seen.deleted),
        "searches": seen.searches,
        "lost": len(seen.missing(server.url)),
        "doubled": len(walked) - len(set(walked)),
        "deleted_and_back": len(seen.deleted & set(walked)),
        "faults": len(seen.faults),
        "first_faults": seen.faults[:5],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    begun = circumstances()
    with running_cluster("local", SETTINGS) as server:
        with steady_load(server.url, "kill") as seen:
            wait_for_writes(seen, BETWEEN)
            rounds = [kill_one(server, seen, "Retriever") for _ in range(arguments.rounds)]
        report = {"rounds": len(rounds), **verdict(server, seen), "each": rounds}
    print(json.dumps({**begun, **report}, indent=2))
    write_report(arguments.output, report, begun)
    return 1 if report["lost"] or report["doubled"] or report["deleted_and_back"] else 0


if __name__ == "__main__":
    sys.exit(main())
