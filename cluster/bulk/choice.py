"""Which way the rows of a run travel: through Ray Data in the cluster, or over HTTP from this process."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Literal

from cluster.errors import ClusterError
from cluster.indexing.places import why
from cluster.indexing.rows import Shard
from cluster.runfile import read_runfile
from cluster.settings import Settings

CONNECT_S = 5.0


def choose_address(
    via: Literal["auto", "ray", "http"], given: str | None, url: str, settings: Settings, shards: Sequence[Shard]
) -> str | None:
    """The address of Ray's head for the first way, None for the second.

    By itself the first is chosen where the caller names an address: that is a cluster of several machines, which read
    side by side. On one machine both ways use the same cores, and Ray Data takes seconds to start and more memory
    (loadtests/bench_bulk.py). Raises ClusterError where Ray was asked for and cannot be had.
    """
    if via == "http":
        return None
    if given is None and via == "auto":
        return None
    address = given or _address_of_own(url, settings)
    if address is None:
        raise ClusterError(
            f"the cluster at {url} was not started here by `crossray up`, so where its Ray listens is not known: "
            "give --ray-address, or --via http"
        )
    _require_listening(address)
    if missing := next((name for name in ("ray", "pandas") if find_spec(name) is None), None):
        raise ClusterError(f"{missing} is missing here: pip install 'crossray[bulk]', or --via http")
    if memory := next((shard for shard in shards if shard.place.startswith("memory://")), None):
        raise ClusterError(f"{memory.name} is in this process alone: --via http")
    return address


def _require_listening(address: str) -> None:
    """Ray itself would wait for minutes, and then end this process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"--ray-address {address}: write it as host:port, such as 127.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(f"Ray does not answer at {address}: {why(error)}") from error


def _address_of_own(url: str, settings: Settings) -> str | None:
    run = read_runfile(settings.data_dir)
    return run.ray_address or None if run is not None and run.url == url else None
