"""The files that are rendered from the tables here, by their names below `k8s/components/monitoring/`."""

from __future__ import annotations

import json
from typing import Any

from cluster.manifests.yaml_text import to_yaml
from cluster.monitoring import alerts, objectives
from cluster.monitoring.dashboards import DASHBOARDS
from cluster.monitoring.rule import Rule

HEADER = "# Written by python -m cluster.manifests from cluster/monitoring/; do not edit.\n"
PLAIN_RULES = "prometheus/crossray.rules.yaml"


def rule_groups() -> dict[str, Any]:
    """The content of a rule file of Prometheus."""
    groups: dict[str, list[Rule]] = {
        "crossray-objectives": [*objectives.records(), *objectives.alerts()],
        "crossray-parts": list(alerts.alerts()),
    }
    return {"groups": [{"name": name, "rules": [rule.content() for rule in rules]} for name, rules in groups.items()]}


def rendered() -> dict[str, str]:
    """What is in each file."""
    labels = {"app.kubernetes.io/part-of": "crossray"}
    operator = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "crossray", "labels": labels},
        "spec": rule_groups(),
    }
    boards = {f"dashboards/{one.uid}.json": json.dumps(one.content(), indent=2) + "\n" for one in DASHBOARDS}
    return {"rules.yaml": HEADER + to_yaml(operator), PLAIN_RULES: HEADER + to_yaml(rule_groups()), **boards}
