"""The encoders that run, by the vector contracts that they can make vectors under."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployments.catalog.versions import Version
from deployments.encode_calls import EncodeCalls
from deployments.encoder import EncodeOutcome, EncodeTask
from deployments.errors import BadRequest
from deployments.ports import EncodePort
from deployments.remote import RemoteEncoder
from encoders import EncoderInfo, VectorContract, truncate
from encoders.errors import ModelUnavailable


class TruncatedEncoder:
    """An EncodePort that answers the first `dim` columns of another's vectors, at unit length."""

    def __init__(self, encoder: EncodePort, dim: int) -> None:
        self._encoder = encoder
        self._dim = dim

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        return [
            outcome if outcome.vector is None else replace(outcome, vector=truncate(outcome.vector, self._dim))
            for outcome in await self._encoder.encode(tasks)
        ]


class MissingEncoder:
    """An EncodePort for vectors that nothing here can make. Raises ModelUnavailable."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        raise ModelUnavailable(self._reason)


@dataclass(frozen=True, slots=True)
class RunningEncoder:
    """An encoder's port, the same behind its cache where there is one, and what it is."""

    port: EncodePort
    cached: EncodePort
    info: EncoderInfo

    def truncated(self, dim: int) -> RunningEncoder:
        """The same with fewer columns. Raises BadRequest where prefixes of its vectors are no vectors."""
        if dim == self.info.dim:
            return self
        if dim not in self.info.dimensions:
            allowed = ", ".join(map(str, self.info.dimensions))
            raise BadRequest(f"{self.info.name} has no {dim} dimensions; allowed: {allowed}", "dim")
        fewer = tuple(one for one in self.info.dimensions if one <= dim)
        info = replace(self.info, contract=replace(self.info.contract, dim=dim), dimensions=fewer)
        return RunningEncoder(TruncatedEncoder(self.port, dim), TruncatedEncoder(self.cached, dim), info)


async def ask_running(
    handle: Any,
    calls: EncodeCalls,
    on_retry: Callable[[str], None] = lambda target: None,
    cached: Callable[[EncodePort, EncoderInfo], EncodePort] = lambda port, info: port,
) -> RunningEncoder:
    """The encoder behind a Serve DeploymentHandle, once it has said what it is; `cached` may put a cache before it."""
    info: EncoderInfo = await handle.info.remote()
    remote = RemoteEncoder(handle, calls, on_retry)
    return RunningEncoder(remote, cached(remote, info), info)


class RunningEncoders:
    """At least one; the first is that of the settings' `encoder`."""

    def __init__(self, encoders: Sequence[RunningEncoder]) -> None:
        self._encoders = tuple(encoders)

    @property
    def first(self) -> RunningEncoder:
        return self._encoders[0]

    def of(self, contract: VectorContract) -> RunningEncoder | None:
        """What makes vectors under this contract; None where nothing does."""
        whole = self.whole(contract)
        return None if whole is None else whole.truncated(contract.dim)

    def whole(self, contract: VectorContract) -> RunningEncoder | None:
        """The encoder, with all its columns, whose vectors those of this contract are the beginning of."""
        for encoder in self._encoders:
            own = encoder.info
            if contract.dim in own.dimensions and replace(own.contract, dim=contract.dim) == contract:
                return encoder
        return None

    def beside(self, contract: VectorContract) -> list[RunningEncoder]:
        """All but the one that is for this contract."""
        whole = self.whole(contract)
        return [encoder for encoder in self._encoders if encoder is not whole]

    def named(self, name: str | None) -> RunningEncoder:
        """By its name, checkpoint or fingerprint; None is the first. Raises BadRequest."""
        for encoder in self._encoders:
            if name in (None, encoder.info.name, encoder.info.contract.model, encoder.info.contract.fingerprint):
                return encoder
        here = ", ".join(repr(encoder.info.name) for encoder in self._encoders)
        raise BadRequest(f"there is no encoder {name!r}; here: {here}", "encoder", "model_not_found")


def not_running(version: Version) -> str:
    """Why a version cannot be searched by text or image, and what helps."""
    return (
        f"the vectors of the collection {version.collection} were made by {version.encoder} "
        f"({version.fingerprint}), which does not run: add it to other_encoders, or run  crossray reindex "
        f"--collection {version.collection}"
    )


def described(version: Version, running: EncoderInfo) -> EncoderInfo:
    """What is known of the encoder of a version where only another runs."""
    return replace(
        running, name=version.encoder, contract=version.contract, dimensions=(version.dim,), calibration=None
    )
