"""Keeps Serve's replicas to the loopback interface on a cluster that is one machine.

Each replica opens a gRPC server for calls between deployments on all interfaces, and Serve has no setting for it. The
server unpickles what it is sent, so on a laptop in a strange network that is a door. `tests/system` lists the listening
sockets of a running cluster and fails when this stops working.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def bind_replicas_to_loopback() -> None:
    """Ray's `worker_process_setup_hook`: runs in every worker before anything else does."""
    replica: Any = import_module("ray.serve._private.replica")
    add_port = replica.add_port_to_grpc_server

    def add_loopback_port(server: Any, address: str) -> Any:
        return add_port(server, address.replace("[::]", "127.0.0.1"))

    replica.add_port_to_grpc_server = add_loopback_port
