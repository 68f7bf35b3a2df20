"""The metrics and the alerts, as their tables define them."""

from __future__ import annotations

from cluster.reference.markdown import table


def page() -> str:
    from cluster.monitoring import alerts, objectives
    from deployments.metrics import METRICS

    metrics = [
        (f"`{one.exported}`", one.kind, one.unit, one.help, ", ".join(f"`{label}`" for label in one.labels))
        for one in METRICS.values()
    ]
    rows = [
        (
            f"`{one.name}`",
            one.severity,
            f"{one.labels.get('window') or one.labels.get('lane', '')}",
            one.summary,
            one.does,
        )
        for one in (*objectives.alerts(), *alerts.alerts())
    ]
    return f"""# Metrics and alerts

Ray exports what begins with `ray_` on each node's metrics port, beside Serve's own (requests, queues, replicas);
`crossray status` names the port of a cluster on this machine. A histogram has three names, which end in `_bucket`,
`_sum` and `_count`. What begins with `crossray_` is written by a command, to a file for node-exporter's textfile
collector.

{table(("name", "kind", "unit", "what", "labels"), metrics)}

## Alerts

`k8s/components/monitoring/` has them as a PrometheusRule and as a plain rule file, beside dashboards for Grafana. A
page wants somebody now, a ticket in working hours. Windows are those over which the error budget burns too fast.

{table(("alert", "severity", "window or lane", "what it says", "what to look at"), rows)}
"""
