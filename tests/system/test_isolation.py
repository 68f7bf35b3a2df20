"""What a running cluster shows to the network and to others: loopback sockets only, no telemetry."""

from __future__ import annotations

import ipaddress

import psutil
import pytest

from cluster.telemetry import TELEMETRY_OFF
from tests.system.clusters import Cluster, crossray


def test_every_listening_socket_is_on_loopback(cluster: Cluster) -> None:
    listening: dict[str, list[str]] = {}
    for process in cluster.processes():
        name = process.name()
        for socket in process.net_connections("inet"):
            if socket.status == psutil.CONN_LISTEN or (socket.type.name == "SOCK_DGRAM" and not socket.raddr):
                listening.setdefault(socket.laddr.ip, []).append(f"{name}:{socket.laddr.port}")
    assert any(f":{cluster.port}" in entry for entries in listening.values() for entry in entries)
    open_to_others = {ip: entries for ip, entries in listening.items() if not is_loopback(ip)}
    assert open_to_others == {}


def is_loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def test_nothing_phones_home(cluster: Cluster) -> None:
    assert {name.split("_")[0] for name in TELEMETRY_OFF} >= {"RAY", "GRADIO", "HF"}
    for name in ("Ingress", "Encoder", "Retriever"):
        replica = cluster.replica(name)
        assert replica is not None
        assert TELEMETRY_OFF.items() <= replica.environ().items()
    talking = [
        f"{process.name()} → {socket.raddr.ip}"
        for process in cluster.processes()
        for socket in process.net_connections("inet")
        if socket.raddr and not is_loopback(socket.raddr.ip)
    ]
    assert talking == []


def test_status_says_what_runs(cluster: Cluster) -> None:
    status = cluster.status()
    assert status["running"] is True
    assert (status["url"], status["state"], status["profile"]) == (cluster.url, "ready", "local")
    assert status["pid"] == cluster.supervisor().pid
    assert status["data_dir"] == str(cluster.data_dir)
    assert (status["health"]["status"], status["health"]["encoder"]) == ("ok", "fake")


@pytest.mark.parametrize("command", [["up"], ["up", "--detach"]])
def test_a_second_up_on_the_same_folder_says_so(cluster: Cluster, command: list[str]) -> None:
    second = crossray(*command, env=cluster.env)
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert "already running" in second.stderr
    assert cluster.url in second.stderr
    assert cluster.status()["running"] is True


@pytest.mark.parametrize("command", [["up"], ["up", "--detach"]])
def test_up_on_a_taken_port_says_so(cluster: Cluster, tmp_path: object, command: list[str]) -> None:
    second = crossray(*command, env=cluster.env | {"CROSSRAY_DATA_DIR": f"{tmp_path}/other"})
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert f"{cluster.port} is taken" in second.stderr
    assert "--port" in second.stderr
