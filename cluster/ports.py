"""Ports for servers that nobody has to find by number: Ray's proxy behind the ingress, the demo, servers of tests."""

import socket
from contextlib import suppress
from random import SystemRandom

from cluster.errors import ClusterError

PORTS = range(20_000, 32_000)
"""Below those that the kernel hands out (32,768 and up), of which Ray's processes ask for many at any moment."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has. Raises ClusterError when all are taken."""
    for port in SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise ClusterError(f"no free port from {PORTS[0]} to {PORTS[-1]}")
