"""The metrics of Ray Serve that rules and dashboards use. Names and labels as Ray 2.60 exports them."""

from __future__ import annotations

APPLICATION = "crossray"

HTTP_REQUESTS = "ray_serve_num_http_requests_total"
"""By `status_code`; counted where HTTP comes in, at a proxy or a direct ingress. Serve's own answers have no
`application`."""
DEPLOYMENT_STATUS = "ray_serve_deployment_status"
"""0 unknown, 1 failed to deploy, 2 unhealthy, 3 updating, 4 and 5 scaling, 6 healthy."""
REPLICA_HEALTHY = "ray_serve_deployment_replica_healthy"
"""1 for each replica that is."""
FAILED_CHECKS = "ray_serve_health_check_failures_total"
"""By `deployment` and `replica`; a replica that died fails one. The series of a replica begins with its first."""
HANDLE_QUEUE = "ray_serve_deployment_queued_queries"
"""Calls that wait at their callers for a replica."""
ONGOING = "ray_serve_replica_processing_queries"
PROCESSING_MS = "ray_serve_deployment_processing_latency_ms"
"""A histogram."""

SERVE_METRICS = (HTTP_REQUESTS, DEPLOYMENT_STATUS, REPLICA_HEALTHY, FAILED_CHECKS, HANDLE_QUEUE, ONGOING, PROCESSING_MS)
NODE_METRICS = ("ray_node_cpu_utilization", "ray_node_mem_used", "ray_node_mem_total")
"""Of Ray's agent on each node."""
