"""Service level objectives: what is promised of answers, and alerts on how fast the error budget burns.

Several windows and burn rates: a short window beside each long one ends an alert soon after what it tells of.
Source: Google, *The Site Reliability Workbook* (2018), chapter 5, table 5-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.monitoring.rule import Alert, Record, Rule, Severity
from cluster.monitoring.serve_metrics import APPLICATION, HTTP_REQUESTS
from deployments.metrics import REQUEST_SECONDS

LEAST_REQUESTS = 30
"""In the long window: of fewer, one failure would be a burning budget."""
PROBES = 'operation=~"ready|live"'
"""Our own answers to probes, of which an unready one is a 503 and no failure."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of requests that is to be good."""

    name: str
    alert: str
    good: float
    """Of all requests, over thirty days."""
    says: str
    does: str
    """What to look at when its budget burns."""

    @property
    def budget(self) -> float:
        return round(1 - self.good, 6)


@dataclass(frozen=True, slots=True)
class Burn:
    """A pair of windows, and how fast the budget may burn in both; at a rate of 1 it lasts thirty days."""

    long: str
    short: str
    rate: float
    severity: Severity
    wait: str
    """How long it has to last."""


BURNS = (
    Burn("1h", "5m", 14.4, "page", "2m"),
    Burn("6h", "30m", 6, "page", "15m"),
    Burn("1d", "2h", 3, "ticket", "1h"),
    Burn("3d", "6h", 1, "ticket", "3h"),
)
WINDOWS = tuple(dict.fromkeys(window for burn in BURNS for window in (burn.short, burn.long)))
SECONDS = {"5m": 300, "30m": 1800, "1h": 3600, "2h": 7200, "6h": 21600, "1d": 86400, "3d": 259200}

SEARCH_S = 0.5
"""One of the buckets of the histogram."""
AVAILABILITY = Objective(
    "availability",
    "CrossrayAvailabilityBudgetBurns",
    0.999,
    "requests fail with a 5xx",
    "The errors by code tell which part fails; the ingress logs each of them with its request id.",
)
SEARCH = Objective(
    "search_latency",
    "CrossraySearchLatencyBudgetBurns",
    0.99,
    f"searches take over {SEARCH_S:g} s",
    "The stages of a search tell where the time goes: a queue wants replicas, an encoder smaller batches, an index "
    "a look at its type.",
)
OBJECTIVES = (AVAILABILITY, SEARCH)


def records() -> Iterator[Rule]:
    """For each window the requests and the bad ones a second, and their ratio.

    Longer windows are means of the shortest: a rate over three days would read each sample of each replica every time.
    """
    shortest = WINDOWS[0]
    for name, expr in _rates(shortest).items():
        yield Record(f"{name}:rate{shortest}", expr)
        for window in WINDOWS[1:]:
            yield Record(f"{name}:rate{window}", f"avg_over_time({name}:rate{shortest}[{window}])")
    for objective in OBJECTIVES:
        for window in WINDOWS:
            bad, requests = (_name(objective, kind, window) for kind in ("bad", "requests"))
            yield Record(_name(objective, "bad_ratio", window), f"{bad} / ({requests} > 0)")


def _rates(window: str) -> dict[str, str]:
    """What is counted, by the name that it is recorded under less the window."""
    rates = {}
    for kind, serve, own in (("requests", "", ""), ("bad", ', status_code=~"5.."', ', status="5xx"')):
        http = f'sum(rate({HTTP_REQUESTS}{{application="{APPLICATION}"{serve}}}[{window}]))'
        probes = f"sum(rate({REQUEST_SECONDS.exported}_count{{{PROBES}{own}}}[{window}]))"
        # `or vector(0)`: nothing has failed yet, or nobody probes.
        rates[f"crossray:{AVAILABILITY.name}_{kind}"] = f"clamp_min(({http} or vector(0)) - ({probes} or vector(0)), 0)"
    searches = f'sum(rate({REQUEST_SECONDS.exported}_count{{operation="search", status="2xx"}}[{window}]))'
    labels = f'operation="search", status="2xx", le="{SEARCH_S}"'
    fast = f"sum(rate({REQUEST_SECONDS.exported}_bucket{{{labels}}}[{window}]))"
    rates[f"crossray:{SEARCH.name}_requests"] = searches
    rates[f"crossray:{SEARCH.name}_bad"] = f"clamp_min({searches} - {fast}, 0)"
    return rates


def alerts() -> Iterator[Alert]:
    """One for each objective and pair of windows."""
    for objective in OBJECTIVES:
        for burn in BURNS:
            limit = f"{burn.rate:g} * {objective.budget:g}"
            enough = f"{_name(objective, 'requests', burn.long)} * {SECONDS[burn.long]} >= {LEAST_REQUESTS}"
            windows = " and ".join(
                f"{_name(objective, 'bad_ratio', window)} > {limit}" for window in (burn.long, burn.short)
            )
            yield Alert(
                objective.alert,
                f"{windows} and {enough}",
                burn.wait,
                burn.severity,
                f"{objective.good:.1%} are to be good, and of the last {burn.long} too many {objective.says}",
                objective.does,
                {"window": burn.long},
            )


def _name(objective: Objective, kind: str, window: str) -> str:
    """As Prometheus has it: level, metric, operations."""
    return f"crossray:{objective.name}_{kind}:rate{window}"
