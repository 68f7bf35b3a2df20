"""One fault of `chaos_nodes`: what it was to clients and to stored items, and whether that is within the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from loadtests.fault_load import CLIENTS
from loadtests.outage import Outage
from loadtests.report import markdown

Fault: TypeAlias = Literal["encoder", "retriever", "ingress", "redeploy", "worker", "head"]
Backend: TypeAlias = Literal["embedded", "milvus"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
BACKENDS: tuple[Backend, ...] = get_args(Backend)

MAY_FAIL: dict[Fault, int] = {"ingress": CLIENTS, "worker": CLIENTS, "head": CLIENTS}
"""Searches: one a client, the one that is under way. Where another part dies, none."""
LATE_S = 3.0
"""No failed search begins later after the fault."""
STALL_S: dict[Backend, float] = {"embedded": 10.0, "milvus": 1.0}
"""For which a client may be without an answer: one retriever has the embedded files, a Milvus has several."""


@dataclass(frozen=True)
class Round:
    fault: Fault
    backend: Backend
    hit: str
    """The node that it hit; empty where it is the whole application."""
    retriever_on: str
    """The nodes with a retriever when the fault came."""
    outage: Outage
    acknowledged: int
    refused: dict[str, int]
    """What writes were answered that were not acknowledged, and how often."""
    lost: int
    doubled: int
    whole_s: float
    """From the fault until all replicas ran again and both nodes answered."""

    def missed(self) -> list[str]:
        """The targets that were not met."""
        may_fail, stall_s = MAY_FAIL.get(self.fault, 0), STALL_S[self.backend]
        late_s = self.outage.last_failed_began_s
        misses = (
            (self.lost > 0, f"{self.lost} writes lost"),
            (self.doubled > 0, f"{self.doubled} items doubled"),
            (self.outage.failed > may_fail, f"{self.outage.failed} searches failed, of {may_fail} that may"),
            (late_s is not None and late_s > LATE_S, f"one began {late_s} s after the fault"),
            (self.outage.stall_s > stall_s, f"a client waited {self.outage.stall_s} s, more than {stall_s:g}"),
        )
        return [what for is_missed, what in misses if is_missed]

    def content(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self) | {"missed": self.missed()}


def summary(rounds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a back end and fault, of rounds as reports have them: the worst of its rounds."""
    rows = []
    for backend, fault in dict.fromkeys(_kind(one) for one in rounds):
        mine = [one for one in rounds if _kind(one) == (backend, fault)]
        worst = max((one["outage"] for one in mine), key=lambda outage: float(outage["stall_s"]))
        late = [one["outage"]["last_failed_began_s"] for one in mine if one["outage"]["failed"]]
        rows.append(
            {
                "index": backend,
                "fault": fault,
                "rounds": len(mine),
                "searches": sum(one["outage"]["searches"] for one in mine),
                "failed": max(one["outage"]["failed"] for one in mine),
                "last failed began after": f"{max(late)} s" if late else "-",
                "longest stall": f"{worst['stall_s']} s",
                "its end after": f"{worst['stall_ended_s']} s",
                "before the fault": f"{max(one['outage']['stall_before_s'] for one in mine)} s",
                "whole again": f"{max(one['whole_s'] for one in mine)} s",
                "writes": sum(one["acknowledged"] for one in mine),
                "lost": sum(one["lost"] for one in mine),
                "targets": "met" if not any(one["missed"] for one in mine) else "missed",
            }
        )
    return rows


def _kind(one: Mapping[str, Any]) -> tuple[str, str]:
    """The back end and the fault, which is another one where a node takes the only retriever with it."""
    with_it = one["fault"] in ("worker", "head") and one["hit"] == one["retriever_on"]
    return one["backend"], one["fault"] + (" with the only retriever" if with_it else "")


def document(report: Mapping[str, Any]) -> str:
    """The table of a report, for the documentation, and what was missed."""
    runs = report["runs"].values()
    rounds = [one for run in runs for one in run["rounds"]]
    lines = [f"Command: `{run['command']}`, commit `{run['commit']}`, {run['date'][:10]}.\n" for run in runs]
    lines += markdown("The worst of each fault's rounds", summary(rounds))
    lines += [f"- {', '.join(_kind(one))}: {what}." for one in rounds for what in one["missed"]]
    lines += [
        f"- {name}, not got over: {run['not_got_over']}." for name, run in report["runs"].items() if run["not_got_over"]
    ]
    return "\n".join(lines)
