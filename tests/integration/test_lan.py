"""Nodes of one machine that reach each other and this machine, and nothing of which is left."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from loadtests.lan import Lan, LanNode
from loadtests.network_namespace import missing_for_networks
from tests.requirements import lacks

pytestmark = pytest.mark.root
ASK = "import socket, sys; print(socket.create_connection((sys.argv[1], 8000), 5).recv(9).decode())"
SERVE = """
import socket, sys
server = socket.create_server((sys.argv[1], 8000))
print("listens", flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(b"answer")
    connection.close()
"""


@pytest.fixture
def lan() -> Iterator[Lan]:
    if reason := missing_for_networks():
        lacks(reason)
    with Lan() as lan:
        yield lan


def serve(node: LanNode) -> subprocess.Popen[bytes]:
    """One that answers every connection."""
    server = node.popen([sys.executable, "-c", SERVE, node.address], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"listens\n"
    return server


def ask(node: LanNode, address: str) -> str:
    asking = node.popen([sys.executable, "-c", ASK, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, error = asking.communicate(timeout=20)
    return out.decode().strip() or error.decode().splitlines()[-1]


def test_nodes_reach_each_other_and_are_reached_from_here(lan: Lan) -> None:
    first, second = lan.node(), lan.node()
    assert len({lan.address, first.address, second.address}) == 3
    server = serve(first)
    try:
        assert ask(second, first.address) == "answer"
        assert "refused" in ask(first, second.address)
        with socket.create_connection((first.address, 8000), 5) as connection:
            assert connection.recv(9) == b"answer"
    finally:
        server.kill()
        server.communicate()
    # As a client sees it of which the node's processes died: at once, and not after a timeout.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((first.address, 8000), 5)


def test_a_lan_that_was_closed_leaves_no_interface() -> None:
    if reason := missing_for_networks():
        pytest.skip(reason)
    with Lan() as lan:
        lan.node()
        mine = {name for name, of in psutil.net_if_addrs().items() if any(one.address == lan.address for one in of)}
        assert len(mine) == 1
    for _ in range(100):  # the kernel takes its time to end a namespace
        if not mine & set(psutil.net_if_addrs()):
            return
        subprocess.run(["sleep", "0.05"], check=True)
    raise AssertionError(f"{mine} is left")
