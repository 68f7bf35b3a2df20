"""The bodies of `/v1/collections`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from deployments.schemas.fields import Body, CollectionName, Number

BackendName = Literal["memory", "embedded", "milvus"]
StateName = Literal["building", "swapping", "ready", "live", "retired", "dropping"]


class WantedVersion(Body):
    """What a version is to be made with. What is not given stays as it is, or is as in the settings."""

    encoder: str | None = Field(None, description="One that runs, by name, checkpoint or fingerprint.")
    dim: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        None, description="Columns, for encoders whose vectors may be shortened (GET /v1/models)."
    )
    backend: BackendName | None = None
    index_type: str | None = Field(None, description="flat, ivf-flat, ivf-sq8, hnsw or auto; Milvus has more.")


class NewCollection(WantedVersion):
    """`POST /v1/collections`: a collection without items."""

    name: CollectionName


class BuildBody(Body):
    """How a version is to take over."""

    min_recall: Annotated[Number, Field(ge=0, le=1)] = Field(
        0.95, description="Of the 10 nearest, against exact search. Below it the version is left `ready`."
    )
    probes: Annotated[int, Field(strict=True, ge=1, le=5000)] = Field(200, description="Stored items it is checked on.")
    keep: bool = Field(True, description="Keep the version that was live, so that it can be promoted again.")
    swap: bool = Field(True, description="Take over; false leaves it `ready`.")
    max_failed: Annotated[int, Field(strict=True, ge=0)] = Field(
        0, description="Items that may be lost because they could not be encoded."
    )


class ReindexRequest(WantedVersion, BuildBody):
    """`POST /v1/collections/{name}/reindex`: builds a version beside the live one, which then takes over."""


class PromoteRequest(BuildBody):
    """`POST /v1/collections/{name}/versions/{version}/promote`: brings a kept version up to date, which takes over."""


class FailedItem(BaseModel):
    id: str
    reason: str


class BuildAnswer(BaseModel):
    """How far a build is, and what it found. `recall` is that of the new index against exact search; `agreement` the
    share of an item's 10 nearest that are the same in the version that was live."""

    phase: str
    done: int
    total: int
    reused: int
    failed: int
    failures: list[FailedItem]
    recall: float | None
    agreement: float | None
    probes: int
    detail: str


class CanaryAnswer(BaseModel):
    """Recall@10 of the live index against exact search, on `queries` vectors among `rows`, measured at `at`."""

    recall: float
    queries: int
    rows: int
    seconds: float
    at: float


class VersionAnswer(BaseModel):
    """One version. `count` only where one collection is asked for."""

    id: int
    state: StateName
    encoder: str
    fingerprint: str
    contract: dict[str, str | int]
    dim: int
    backend: BackendName
    index: dict[str, str]
    created_at: float
    count: int | None = None
    build: BuildAnswer
    canary: CanaryAnswer | None = None


class CollectionAnswer(BaseModel):
    """A collection: `live` is the number of the version that answers."""

    name: str
    created_at: float
    live: int
    fingerprint: str
    versions: list[VersionAnswer]


class CollectionsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[CollectionAnswer]


class DeletedCollection(BaseModel):
    """The collection is gone; its versions and files follow."""

    name: str
    deleted: bool


class DroppedVersion(BaseModel):
    """The version is gone, or its build ends."""

    name: str
    version: int
    deleted: bool
