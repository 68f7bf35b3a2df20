"""The bodies of `/v1/models` and `/health`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ModelAnswer(BaseModel):
    """One encoder that runs: what it can take, and its vector contract."""

    id: str
    object: Literal["model"] = "model"
    description: str
    dim: int
    dimensions: list[int]
    modalities: list[str]
    languages: list[str]
    max_text_chars: int
    contract: dict[str, str | int]
    fingerprint: str


class ModelsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class HealthAnswer(BaseModel):
    """`/health/ready`: 200 once a warm text and a warm image went through encoder and index, else 503."""

    status: Literal["ok", "starting", "degraded"]
    encoder: str | None = None
    index: str | None = None
    count: int | None = None
    detail: str = ""


class DeploymentAnswer(BaseModel):
    """One deployment of the cluster: Serve's word for its state, and how many replicas are in each of theirs."""

    name: str
    state: str
    replicas: dict[str, int]


class CallsAnswer(BaseModel):
    """One operation over the window: `per_second` and `mean_ms` count the `errors` too."""

    operation: str
    per_second: float
    mean_ms: float
    errors: int


class LookupsAnswer(BaseModel):
    """Inputs looked up in the embedding cache: there, shared with an encoding under way, or to be encoded."""

    hit: int
    shared: int
    miss: int


class StatusAnswer(BaseModel):
    """`GET /v1/status`: a look at one moment, for people. `calls` and `cache` are of the one ingress process that
    answered, `calls` over the last `window_s` and `cache` since it started; `queued` is of one replica of the default
    encoder. null: not known, or nothing of the kind."""

    deployments: list[DeploymentAnswer]
    queued: dict[Literal["interactive", "bulk"], int] | None
    window_s: float
    calls: list[CallsAnswer]
    cache: LookupsAnswer | None
