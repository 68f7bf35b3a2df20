"""What watches a cluster of ours: recording rules, alerts and dashboards, made from the tables of metrics.

`python -m cluster.manifests` writes them to `k8s/components/monitoring/`, as the Prometheus operator and Grafana's
sidecar take them, and as plain files for a Prometheus without an operator.
"""
