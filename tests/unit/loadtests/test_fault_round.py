"""What chaos_nodes holds a fault to, and what the documentation says of the committed run."""

from __future__ import annotations

import json

import pytest

from loadtests.fault_round import Backend, Fault, Round, document, summary
from loadtests.outage import Outage
from loadtests.report import ROOT, read_figures


def round_of(
    fault: Fault = "worker",
    backend: Backend = "embedded",
    *,
    failed: int = 0,
    late_s: float | None = None,
    stall_s: float = 0.5,
    lost: int = 0,
    hit: str = "worker",
    retriever_on: str = "head",
) -> Round:
    outage = Outage(1000, failed, late_s, stall_s, stall_s + 1, 0.2, {})
    return Round(
        fault, backend, hit, retriever_on, outage, acknowledged=50, refused={}, lost=lost, doubled=0, whole_s=9.0
    )


@pytest.mark.parametrize(
    ("one", "missed"),
    [
        (round_of(failed=16, late_s=2.9, stall_s=10.0), []),
        (round_of(failed=17, late_s=1.0), ["17 searches failed, of 16 that may"]),
        (round_of(failed=1, late_s=3.1), ["one began 3.1 s after the fault"]),
        (round_of("encoder", failed=1, late_s=0.0), ["1 searches failed, of 0 that may"]),
        (round_of("redeploy", failed=1, late_s=0.0), ["1 searches failed, of 0 that may"]),
        (round_of(stall_s=10.1), ["a client waited 10.1 s, more than 10"]),
        (round_of(backend="milvus", stall_s=1.1), ["a client waited 1.1 s, more than 1"]),
        (round_of(lost=1), ["1 writes lost"]),
    ],
)
def test_targets(one: Round, missed: list[str]) -> None:
    assert one.missed() == missed


def test_a_row_is_the_worst_of_the_rounds_of_a_fault() -> None:
    rounds = [round_of(failed=3, late_s=0.1), round_of(failed=1, late_s=2.0, stall_s=11.0), round_of("head")]
    first, second = summary([one.content() for one in rounds])
    assert (first["rounds"], first["searches"], first["failed"], first["writes"]) == (2, 2000, 3, 100)
    assert (first["last failed began after"], first["longest stall"], first["targets"]) == ("2.0 s", "11.0 s", "missed")
    assert first["its end after"] == "12.0 s"
    assert (second["fault"], second["last failed began after"], second["targets"]) == ("head", "-", "met")


def test_a_node_with_the_only_retriever_is_a_fault_of_its_own() -> None:
    rounds = [round_of(), round_of(retriever_on="worker"), round_of(retriever_on="head worker"), round_of("encoder")]
    rows = summary([one.content() for one in rounds])
    assert [(row["fault"], row["rounds"]) for row in rows] == [
        ("worker", 2),
        ("worker with the only retriever", 1),
        ("encoder", 1),
    ]


def test_the_document_has_the_figures_of_the_committed_run() -> None:
    report = json.loads((ROOT / "loadtests/results/chaos_nodes.json").read_text(encoding="utf-8"))
    assert read_figures(ROOT / "docs/faults.md", "chaos_nodes") == document(report).strip()
