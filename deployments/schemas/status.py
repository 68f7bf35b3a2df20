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
