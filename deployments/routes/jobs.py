"""`/v1/jobs`: asynchronous indexing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from deployments import audit
from deployments.bodies import field_value, is_multipart, parse_form, parse_json, parse_object
from deployments.catalog.versions import DEFAULT
from deployments.errors import BadRequest
from deployments.jobs.intake import Upload
from deployments.jobs.service import JobService
from deployments.jobs.tables import Job, JobItem
from deployments.openapi import json_body
from deployments.render import json_response
from deployments.schemas.jobs import (
    JOB_ID_PATTERN,
    MAX_JOB_ID_CHARS,
    ItemStateName,
    JobAnswer,
    JobItemPage,
    JobOptions,
    JobPage,
    JobRequest,
)

MAX_UPLOADS = 10_000
PathId = Annotated[
    str,
    Path(max_length=MAX_JOB_ID_CHARS, pattern=JOB_ID_PATTERN, description="A job's id", examples=["job-018f2c"]),
]
Before = Annotated[
    str | None,
    Query(max_length=MAX_JOB_ID_CHARS, pattern=JOB_ID_PATTERN, description="The last job of the page before."),
]
FORM = {
    "type": "object",
    "properties": {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "archive": {"type": "string", "format": "binary", "description": "zip, tar, tar.gz or tar.bz2"},
        "id": {"type": "string"},
        "collection": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "metadata": {"type": "string", "description": "A JSON object."},
    },
}


def router(jobs: JobService) -> APIRouter:
    routes = APIRouter(tags=["jobs"])
    body = json_body(JobRequest)
    body["requestBody"]["content"]["multipart/form-data"] = {"schema": FORM}

    @routes.post(
        "/v1/jobs",
        status_code=202,
        responses={200: {"model": JobAnswer}, 202: {"model": JobAnswer}},
        openapi_extra=body,
        summary="Index many items later; acknowledged when all that was sent is on disk",
    )
    async def create(request: Request) -> Response:
        request.state.operation = "create_job"
        if is_multipart(request):
            form = await parse_form(request, max_files=MAX_UPLOADS, in_memory=False)
            try:
                job, created = await jobs.create_from_uploads(*_uploads(form))
            finally:
                await form.close()
        else:
            job, created = await jobs.create(parse_json(JobRequest, await request.body()))
        audit.note(request, job.id)
        # 200 for a request that was sent again: its job is there.
        return json_response(job_content(job), 202 if created else 200)

    @routes.get("/v1/jobs", response_model=JobPage, summary="All jobs, the latest first")
    async def page(
        request: Request,
        before: Before = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        request.state.operation = "list_jobs"
        found = await jobs.page(before, limit)
        last = found[-1].id if len(found) == limit else None
        return json_response({"jobs": [job_content(job) for job in found], "next": last})

    @routes.get("/v1/jobs/{id}", response_model=JobAnswer, summary="How far a job is, and its first errors")
    async def get(request: Request, id: PathId) -> Response:
        request.state.operation = "get_job"
        job, errors = await jobs.get(id)
        return json_response(job_content(job, errors))

    @routes.get("/v1/jobs/{id}/items", response_model=JobItemPage, summary="A job's items, by state")
    async def items(
        request: Request,
        id: PathId,
        state: ItemStateName | None = None,
        after: Annotated[int, Query(ge=-1, le=1 << 31)] = -1,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Response:
        request.state.operation = "list_job_items"
        found = await jobs.items(id, state, after, limit)
        last = found[-1].position if len(found) == limit else None
        return json_response({"items": [asdict(item) for item in found], "next": last})

    @routes.post("/v1/jobs/{id}/retry", response_model=JobAnswer, summary="Do dead and cancelled items anew; send `{}`")
    async def retry(request: Request, id: PathId) -> Response:
        request.state.operation = "retry_job"
        return json_response(job_content(await jobs.replay(id)))

    @routes.delete("/v1/jobs/{id}", response_model=JobAnswer, summary="Cancel a job; what is under way ends")
    async def cancel(request: Request, id: PathId) -> Response:
        request.state.operation = "cancel_job"
        return json_response(job_content(await jobs.cancel(id)))

    return routes


def job_content(job: Job, errors: list[JobItem] | None = None) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "collection": job.options.get("collection", DEFAULT),
        "total": job.total,
        "counts": job.counts,
        "tags": job.options.get("tags", []),
        "metadata": job.options.get("metadata", {}),
        "rate": round(job.rate, 3),
        "eta_s": None if job.eta_s is None else round(job.eta_s, 1),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "finished_at": job.finished_at,
        "errors": [asdict(item) for item in errors or ()],
    }


def _uploads(form: FormData) -> tuple[JobOptions, list[Upload], Upload | None]:
    fields: dict[str, Any] = {}
    files: dict[str, list[Upload]] = {"files": [], "archive": []}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in files:
                raise BadRequest(f"{name[:80]} is no file of a job: send files or archive", name[:80])
            files[name].append(Upload(value.filename or f"files[{len(files['files'])}]", value.file))
        elif name == "tags":
            fields.setdefault("tags", []).append(value)
        elif name in fields or name in files:
            raise BadRequest(f"{name} was given twice, or is not a file", name)
        else:
            fields[name] = field_value(name, value)
    if len(files["archive"]) > 1:
        raise BadRequest("one archive a job", "archive")
    if not files["files"] and not files["archive"]:
        raise BadRequest("send files or an archive", "files", "no_items")
    return parse_object(JobOptions, fields), files["files"], files["archive"][0] if files["archive"] else None
