"""Mends how Serve's replicas open their sockets on a cluster that is one machine: loopback only, and again at once.

Serve has no setting for either. `tests/system` lists the listening sockets of a running cluster, and kills its ingress
under load; both fail when this stops working.
"""

from __future__ import annotations

import socket
from importlib import import_module
from typing import Any


def mend_sockets() -> None:
    """Ray's `worker_process_setup_hook`: runs in every worker before anything else does."""
    _bind_replicas_to_loopback()
    _bind_again_at_once()


def _bind_replicas_to_loopback() -> None:
    """Each replica opens a gRPC server for calls between deployments on all interfaces. It unpickles what it is sent,
    so on a laptop in a strange network that is a door."""
    replica: Any = import_module("ray.serve._private.replica")
    add_port = replica.add_port_to_grpc_server

    def add_loopback_port(server: Any, address: str) -> Any:
        return add_port(server, address.replace("[::]", "127.0.0.1"))

    replica.add_port_to_grpc_server = add_loopback_port


def _bind_again_at_once() -> None:
    """A direct ingress binds its port without SO_REUSEADDR: while connections of the one before linger in TIME_WAIT (a
    minute), binding fails, and Serve then never gives out that port again."""
    http_util: Any = import_module("ray.serve._private.http_util")
    replica: Any = import_module("ray.serve._private.replica")
    start = replica.start_asgi_http_server

    async def start_again(app: Any, options: Any, *, event_loop: Any, **_: Any) -> Any:
        return await start(app, options, event_loop=event_loop, enable_so_reuseport=True)

    def reuse_address(sock: socket.socket) -> bool:
        # Not SO_REUSEPORT, which would let a second cluster listen on the same port unnoticed.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return True

    http_util.set_socket_reuse_port = reuse_address
    replica.start_asgi_http_server = start_again
