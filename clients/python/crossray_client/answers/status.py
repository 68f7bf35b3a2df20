"""What runs, and whether it is well."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An encoder that runs: what it takes, and the contract and fingerprint of its vectors."""

    id: str
    description: str
    dim: int
    dimensions: list[int]
    modalities: list[str]
    languages: list[str]
    max_text_chars: int
    contract: dict[str, str | int]
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The first is the one whose vectors the collection holds."""

    data: list[Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`status` is ok, starting or degraded."""

    status: str
    encoder: str | None = None
    index: str | None = None
    count: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment of the cluster: Ray Serve's word for its state, and how many replicas are in each of theirs."""

    name: str
    state: str
    replicas: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """One operation over the last seconds: `per_second` and `mean_ms` count the `errors` too."""

    operation: str
    per_second: float
    mean_ms: float
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookups:
    """Inputs looked up in the embedding cache: there, shared with an encoding under way, or to be encoded."""

    hit: int
    shared: int
    miss: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A look at one moment. `calls` and `cache` are of the one ingress process that answered, `calls` over the last
    `window_s`, `cache` since it started; `queued` is of one replica of the default encoder, by lane. None: not known,
    or nothing of the kind."""

    deployments: list[Deployment]
    queued: dict[str, int] | None
    window_s: float
    calls: list[Calls]
    cache: Lookups | None
