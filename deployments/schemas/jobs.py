"""The bodies of `/v1/jobs` and what is under it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from deployments.catalog.versions import DEFAULT
from deployments.schemas.fields import Body, CollectionName, ImageBytes, ItemId, MetadataKey, MetadataValue, Number, Tag
from retrieval.validation import MAX_KEYS, MAX_SOURCE_CHARS, MAX_TAGS, MAX_TEXT_CHARS

MAX_URL_CHARS = 2_048

MAX_JOB_ID_CHARS = 64
JOB_ID_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$"

JobId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_JOB_ID_CHARS, pattern=JOB_ID_PATTERN)]

JobStateName = Literal["queued", "running", "done", "failed", "cancelled"]

ItemStateName = Literal["pending", "leased", "done", "failed", "dead", "cancelled"]


class JobItemBody(Body):
    """One item of a job: an image, a text, or both, with what is its own beside the job's tags and metadata."""

    id: ItemId | None = None
    image: ImageBytes | None = None
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] | None = None
    source: Annotated[str, StringConstraints(max_length=MAX_SOURCE_CHARS)] = ""
    tags: list[Tag] = Field([], max_length=MAX_TAGS)
    metadata: dict[MetadataKey, MetadataValue] = Field({}, max_length=MAX_KEYS)
    created_at: Number | None = Field(None, description="Seconds since the epoch; now, when not given.")

    @model_validator(mode="after")
    def _content(self) -> JobItemBody:
        if self.image is None and self.text is None:
            raise ValueError("give an image, a text, or both")
        return self


class JobOptions(Body):
    """What all ways to create a job have in common."""

    id: JobId | None = Field(
        None, description="Yours to choose, so that a request that is sent again makes no second job; else made here."
    )
    collection: CollectionName = Field(DEFAULT, description="Where the items are stored; it must be there.")
    tags: list[Tag] = Field([], max_length=MAX_TAGS, description="Given to every item.")
    metadata: dict[MetadataKey, MetadataValue] = Field({}, max_length=MAX_KEYS, description="Given to every item.")


class JobRequest(JobOptions):
    """`POST /v1/jobs` as JSON. Files and archives travel as multipart: `files` (any number) and `archive` (one)."""

    items: list[JobItemBody] = Field([])
    urls: list[Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_CHARS)]] = Field(
        [], description="Images to fetch; only where `jobs.urls.enabled`, and from the hosts that it allows."
    )
    folder: str | None = Field(None, description="A folder on the server, below one of `jobs.folders`.")

    @model_validator(mode="after")
    def _sources(self) -> JobRequest:
        if not self.items and not self.urls and self.folder is None:
            raise ValueError("give items, urls or a folder")
        return self


class JobCounts(BaseModel):
    """Items by state. Failed ones are themselves at fault; dead ones failed as often as is tried: replay them."""

    pending: int
    leased: int
    done: int
    failed: int
    dead: int
    cancelled: int


class JobItemAnswer(BaseModel):
    """How one item of a job fares. `name` tells which it is, `item_id` what it is stored as."""

    position: int
    name: str
    state: ItemStateName
    attempts: int
    item_id: str | None
    error_code: str | None
    error_message: str | None
    updated_at: float


class JobAnswer(BaseModel):
    """A job. `rate` is items that ended a second, over the last minute; `eta_s` the seconds left at that rate. `errors`
    are its first failed and dead items, where one job is asked for."""

    id: str
    state: JobStateName
    collection: str = DEFAULT
    total: int
    counts: JobCounts
    tags: list[str]
    metadata: dict[str, str | int | float | bool]
    rate: float
    eta_s: float | None
    created_at: float
    updated_at: float
    finished_at: float | None
    errors: list[JobItemAnswer] = []


class JobPage(BaseModel):
    """`GET /v1/jobs`: the latest first. `next` is the `before` of the next page, null at the end."""

    jobs: list[JobAnswer]
    next: str | None


class JobItemPage(BaseModel):
    """`GET /v1/jobs/{id}/items`, by position. `next` is the `after` of the next page, null at the end."""

    items: list[JobItemAnswer]
    next: int | None
