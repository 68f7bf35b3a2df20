"""How the cluster stands: its deployments with their replicas, as Serve says, and what waits for the encoder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

ASK_S = 2.0
RUNNING = "RUNNING"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """One deployment: Serve's word for its state, and its replicas by Serve's words for theirs."""

    name: str
    state: str
    replicas: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """All deployments by name, and the items that wait for the encoder by lane; None where that is not known."""

    deployments: list[DeploymentState]
    queued: Mapping[str, int] | None


class ClusterStatePort(Protocol):
    """Who knows how the cluster stands."""

    async def read(self) -> ClusterState: ...


class OneProcess:
    """Where everything runs in this process: there are no deployments."""

    async def read(self) -> ClusterState:
        return ClusterState([], None)


class ServeState:
    """Asks Serve's controller, and a replica of the encoder."""

    def __init__(self, encoder: Any) -> None:
        """`encoder` is a DeploymentHandle."""
        self._encoder = encoder

    async def read(self) -> ClusterState:
        """Never raises: what does not answer within ASK_S is left out."""
        deployments: list[DeploymentState] = []
        try:
            async with asyncio.timeout(ASK_S):
                deployments = await asyncio.to_thread(_deployments)
                name = self._encoder.deployment_name
                # An encoder that is asleep has nothing waiting, and is not to be woken for that.
                if any(one.name == name and one.replicas.get(RUNNING) for one in deployments):
                    return ClusterState(deployments, await self._encoder.queued.remote())
        except Exception as error:
            log.warning("the state of the cluster is not known whole: %r", error)
        return ClusterState(deployments, None)


def _deployments() -> list[DeploymentState]:
    from ray import serve

    app = serve.status().applications[serve.get_replica_context().app_name]
    return [
        DeploymentState(name, str(one.status.value), {str(state): n for state, n in one.replica_states.items()})
        for name, one in sorted(app.deployments.items())
    ]
