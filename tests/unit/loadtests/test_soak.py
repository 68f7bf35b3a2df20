"""A soak's judgement: what counts as growth, and whose memory it is."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from loadtests.memory import MemoryCurve, process_name, quarters
from loadtests.slo import SEARCH_IMAGE, SEARCH_TEXT, UPLOAD
from loadtests.soak import p99_of, plot, summary, verdicts


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["ray::ServeReplica:crossray:Encoder"], "Encoder"),
        (["ray::ServeReplica:crossray:Ingress.handle_request"], "Ingress"),
        (["ray::ServeController.listen_for_change"], "ServeController"),
        (["/x/ray/core/src/ray/raylet/raylet", "--raylet_socket_name=y"], "raylet"),
        (["python", "-u", "/x/ray/_private/log_monitor.py", "--logs-dir=y"], "log_monitor.py"),
        (["python", "-m", "cluster.supervisor", "--log", "y"], "cluster.supervisor"),
        ([], "ended"),
    ],
)
def test_processes_go_by_what_they_are(command: list[str], name: str) -> None:
    assert process_name(command) == name


def test_quarters_are_medians_of_the_second_and_the_last() -> None:
    assert quarters([9, 9, 1, 2, 5, 5, 7, 8]) == (2, 8)
    assert quarters([3]) == (3, 3)


def window(until_s: float, p99_ms: float | None) -> dict[str, Any]:
    row = {"per_s": 1.0, "failed": 0, "shed": 0, "p50_ms": 5, "p99_ms": p99_ms}
    return {"until_s": until_s, "users": 1, "requests": dict.fromkeys((SEARCH_TEXT, SEARCH_IMAGE, UPLOAD), row)}


@pytest.fixture(scope="module")
def memory() -> MemoryCurve:
    """Of this very process, for a moment."""
    curve = MemoryCurve(os.getpid(), 0.05)
    with curve.watching():
        time.sleep(0.2)
    return curve


def report(p99s: list[float | None], failed: int = 0) -> dict[str, Any]:
    requests = {SEARCH_TEXT: {"answered": 100, "failed": failed, "shed": 0}}
    windows = [window(10.0 * number, p99) for number, p99 in enumerate(p99s, start=1)]
    return {"timeline": windows, "requests": requests, "not_met": [], "generator_was_busy": False}


def test_windows_without_requests_have_no_p99() -> None:
    assert p99_of(report([10, None, 30])["timeline"], SEARCH_TEXT) == [10, 30]
    assert p99_of([{"until_s": 1.0, "users": 1, "requests": {}}], UPLOAD) == []


def test_a_flat_run_meets_its_targets(memory: MemoryCurve, tmp_path: Path) -> None:
    found = summary(report([50.0, 20, 20, 20, 20, 20, 20, 20]), memory)
    assert all(verdicts(found).values()), verdicts(found)
    assert sum(row["last_quarter"] for row in found["resident_mb"].values()) > 10
    plot(tmp_path / "soak.png", found, memory)
    assert (tmp_path / "soak.png").stat().st_size > 1000


def test_growth_is_told_by_what_grew(memory: MemoryCurve) -> None:
    found = summary(report([20.0, 20, 20, 20, 20, 20, 40, 40], failed=1), memory)
    found["resident_mb"]["Retriever"] = {"second_quarter": 200.0, "last_quarter": 240.0}
    found["memory"]["mb_last_quarter"] = 1.1 * found["memory"]["mb_second_quarter"]
    missed = [name for name, met in verdicts(found).items() if not met]
    assert missed == [
        "memory of all processes within 5%",
        "no process 32 MB larger",
        *(f"p99 of {kind} within 25%" for kind in (SEARCH_TEXT, SEARCH_IMAGE, UPLOAD)),
        "no request failed",
    ]
