"""A Grafana dashboard as plain JSON: rows of panels over one Prometheus.

Source: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

SCHEMA_VERSION = 39
WIDTH, HEIGHT, PER_ROW = 8, 7, 3
"""In Grafana's grid, which is 24 wide."""
SOURCE = {"type": "prometheus", "uid": "${source}"}
Unit: TypeAlias = Literal["short", "s", "percentunit", "bytes", "reqps", "ops"]
"""Grafana's names."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Time series: an expression for each legend. `limit` is drawn as a line."""

    title: str
    unit: Unit
    queries: Mapping[str, str]
    """Expressions of PromQL by their legends, in which `{{label}}` stands for its value."""
    says: str = ""
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels in rows that have titles."""

    uid: str
    title: str
    rows: Mapping[str, Sequence[Panel]]

    def content(self) -> dict[str, Any]:
        """The dashboard's JSON model."""
        panels: list[dict[str, Any]] = []
        y = 0
        for title, row in self.rows.items():
            at = {"h": 1, "w": 24, "x": 0, "y": y}
            panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": at, "collapsed": False})
            for number, panel in enumerate(row):
                line, column = divmod(number, PER_ROW)
                at = {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": y + 1 + line * HEIGHT}
                panels.append(_panel(len(panels) + 1, panel, at))
            y += 1 + HEIGHT * -(-len(row) // PER_ROW)
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["crossray"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "templating": {
                "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
            },
            "panels": panels,
        }


def _panel(id: int, panel: Panel, at: Mapping[str, int]) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": panel.unit, "min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}}
    if panel.limit is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.limit}]
        field["thresholds"] = {"mode": "absolute", "steps": steps}
        field["custom"] |= {"thresholdsStyle": {"mode": "line"}}
    return {
        "id": id,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": dict(at),
        "fieldConfig": {"defaults": field, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for number, (legend, expr) in enumerate(panel.queries.items())
        ],
    }
