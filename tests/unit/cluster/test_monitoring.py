"""Rules and dashboards: each alert fires when it is to and is silent when it is not, and nothing names what is not
there."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from cluster.manifests.written import drifted
from cluster.monitoring import alerts, files, objectives
from cluster.monitoring.dashboards import DASHBOARDS
from cluster.monitoring.serve_metrics import NODE_METRICS, SERVE_METRICS
from deployments.metrics import METRICS
from tests.prometheus_tools import prometheus_tool
from tests.unit.cluster.rule_cases import CASES

MONITORING = Path(__file__).parents[3] / "k8s/components/monitoring"
RULES = [rule for group in files.rule_groups()["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    """Of all rules and panels, as Prometheus gets them."""
    yield from (rule["expr"] for rule in RULES)
    for board in DASHBOARDS:
        for panel in board.content()["panels"]:
            yield from (target["expr"].replace("$__rate_interval", "5m") for target in panel.get("targets", ()))


def names_in(expr: str) -> set[str]:
    """The metrics that an expression selects."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)
        for part in ("expr", "lhs", "rhs", "vector_selector", "vs"):
            if (child := getattr(node, part, None)) is not None:
                walk(child)
        for child in getattr(node, "args", ()):
            walk(child)

    walk(promql_parser.parse(expr))
    return found


def test_what_is_rendered_is_what_lies_there() -> None:
    assert drifted(MONITORING, files.rendered()) == [], "run  python -m cluster.manifests"
    known = {*files.rendered(), "kustomization.yaml", "monitors.yaml"}
    assert {str(path.relative_to(MONITORING)) for path in MONITORING.rglob("*") if path.is_file()} == known


def test_promtool_takes_the_rules() -> None:
    command = [
        prometheus_tool("promtool"),
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        str(MONITORING / files.PLAIN_RULES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_each_alert_has_both_kinds_of_case() -> None:
    names = {alert.name for alert in (*objectives.alerts(), *alerts.alerts())}
    assert {case.alert for case in CASES if case.fires} == names
    assert {case.alert for case in CASES if not case.fires} == names
    labels = [(case.alert, one["exp_labels"]) for case in CASES for one in case.expected]
    fired = {(alert, own["severity"]) for alert, own in labels}
    assert {(rule["alert"], rule["labels"]["severity"]) for rule in RULES if "alert" in rule} == fired
    windows = {own["window"] for _, own in labels if "window" in own}
    assert windows == {burn.long for burn in objectives.BURNS}


@pytest.mark.parametrize(("number", "every"), [(0, "5m"), (1, "1m")], ids=["objectives", "parts"])
def test_alerts_fire_when_they_are_to_and_not_else(tmp_path: Path, number: int, every: str) -> None:
    """All cases of a group in one run of promtool; objectives look at days, and are evaluated `every` five minutes.
    Texts are not compared: they come from one place."""
    group = files.rule_groups()["groups"][number]
    for rule in group["rules"]:
        rule.pop("annotations", None)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    own = {rule["alert"] for rule in group["rules"] if "alert" in rule}
    tests = [
        {
            "name": f"{at} {case.alert}",
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
            "alert_rule_test": [{"alertname": case.alert, "eval_time": case.at, "exp_alerts": case.expected}],
        }
        for at, case in enumerate(CASES)
        if case.alert in own
    ]
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(content))
    command = [prometheus_tool("promtool"), "test", "rules", str(tmp_path / "tests.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("expr", list(dict.fromkeys(expressions())))
def test_an_expression_parses_and_names_what_is_exported(expr: str) -> None:
    exported = {*SERVE_METRICS, *NODE_METRICS, *(rule["record"] for rule in RULES if "record" in rule)}
    for metric in METRICS.values():
        parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        exported |= {metric.exported + part for part in parts}
    exported |= {f"{name}_bucket" for name in SERVE_METRICS if name.endswith("_ms")}
    named = names_in(expr)
    assert named
    assert named <= exported


def test_the_labels_that_are_asked_for_are_there() -> None:
    """A label that a metric does not have selects or groups nothing, and nobody would notice."""
    for expr in expressions():
        for name, labels in re.findall(r"ray_(crossray_[a-z_]+?)(?:_total|_bucket|_sum|_count)?\{([^}]*)\}", expr):
            assert set(re.findall(r"(\w+)\s*=", labels)) <= {*METRICS[name].labels, "le"}, expr


def test_every_metric_of_ours_is_on_a_dashboard_or_in_a_rule() -> None:
    named = set().union(*map(names_in, expressions()))
    unseen = {
        metric.name
        for metric in METRICS.values()
        if not any(name.startswith(metric.exported) for name in named) and not metric.by_command
    }
    assert unseen == set()


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_a_dashboard_is_one_that_grafana_can_lay_out(board: Any) -> None:
    content = json.loads((MONITORING / f"dashboards/{board.uid}.json").read_text())
    panels = content["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} lies over another"
        assert max(x for x, _ in cells) < 24
        taken |= cells
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)
        if panel["type"] != "row":
            assert references, panel["title"]


def test_the_limit_of_slow_searches_is_one_of_the_buckets() -> None:
    assert objectives.SEARCH_S in METRICS["crossray_request_seconds"].buckets
