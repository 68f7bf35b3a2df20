"""The branch of the settings tree for asynchronous indexing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from cluster.section import ScaleSettings, Section

Port = Annotated[int, Field(ge=1, le=65535)]


class UrlSettings(Section):
    """Fetching images for jobs that name URLs. Off: who may send jobs could else make this machine ask others."""

    enabled: bool = Field(False, description="Fetch URLs, of the hosts below only.")
    hosts: tuple[str, ...] = Field(
        (),
        description="Names that may be fetched from; `*.example.org` is every name below example.org, "
        "`*` any name of the public Internet.",
    )
    ports: tuple[Port, ...] = Field((80, 443), description="Ports that may be asked.")
    timeout_s: float = Field(20, gt=0, description="Longest time of one fetch, redirects and all.")
    max_redirects: int = Field(3, ge=0, le=10, description="Redirects followed; each is checked like the first URL.")

    @model_validator(mode="after")
    def _names_hosts(self) -> UrlSettings:
        if self.enabled and not self.hosts:
            raise ValueError("hosts: name those that may be fetched from")
        return self


class ArchiveSettings(Section):
    """What an uploaded zip or tar may be."""

    members: int = Field(10_000, ge=1, description="Most files in it.")
    bytes: int = Field(1 << 30, ge=1024, description="Largest size of all of them unpacked.")
    ratio: int = Field(200, ge=1, description="How many times its own size it may unpack to, beyond the first 16 MiB.")


class WorkerScale(ScaleSettings):
    """A class of its own, so that who sets one field of it keeps the others."""

    min_replicas: int = Field(0, ge=0, description="Workers that always run.")
    max_replicas: int = Field(2, ge=1, description="Workers at the most.")
    target_ongoing_requests: float = Field(1, gt=0, description="Turns of work, or messages, for each worker.")
    max_ongoing_requests: int = Field(4, ge=1, description="Calls a worker takes; one works, the others wait for it.")


class JobsSettings(Section):
    """Jobs: many items indexed later, with progress, retries and per-item errors."""

    enabled: bool = Field(True, description="Serve /v1/jobs.")
    worker: Literal["ingress", "replicas"] = Field(
        "ingress",
        description="Who works on them. `ingress`: the ingress does, beside its requests; nothing else runs. "
        "`replicas`: a deployment of their own, of which none runs while there is nothing to do.",
    )
    scale: WorkerScale = Field(WorkerScale(), description="Of these replicas.")
    broker_url: SecretStr | None = Field(
        None,
        description="Of a Redis through which Serve's task consumer (Celery) is rung and its queue counted: "
        "redis://host/0. null: replicas are called directly, with no broker. Needs crossray[broker].",
    )
    folders: tuple[Path, ...] = Field((), description="Folders of the server that jobs may read, with all below them.")
    urls: UrlSettings = UrlSettings()
    archive: ArchiveSettings = ArchiveSettings()
    max_items: int = Field(100_000, ge=1, description="Most items of one job.")
    max_upload_bytes: int = Field(256 << 20, ge=1024, description="Largest body that creates a job.")
    concurrency: int = Field(32, ge=1, le=1024, description="Items that one worker has under way.")
    attempts: int = Field(
        10, ge=1, description="Attempts at an item before it is a dead letter: at 10, four minutes of them."
    )
    item_timeout_s: float = Field(120, gt=0, description="Longest time of one attempt.")
    lease_s: float = Field(60, ge=1, description="How long a worker's items stay its own after it was last heard of.")
    keep_s: float = Field(7 * 86400, gt=0, description="How long a job is remembered after its end, dead letters too.")

    @model_validator(mode="after")
    def _broker_rings_replicas(self) -> JobsSettings:
        if self.broker_url is not None and self.worker != "replicas":
            raise ValueError("broker_url: it rings replicas; set worker to replicas")
        return self
