"""`/v1/jobs` over HTTP: what is taken, what is refused and why, and what a caller sees of a job."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from deployments.api import HttpLimits
from tests.unit.deployments.conftest import Api, Start
from tests.unit.deployments.job_stack import picture, zipped


async def work(api: Api) -> None:
    assert api.jobs is not None
    assert api.items is not None
    await api.jobs.worker(api.items).work(5)


async def test_a_json_job_from_start_to_end(api: Api) -> None:
    answer = await api.http.post("/v1/jobs", json={"items": [{"text": "a boat"}, {"image": "!"}], "tags": ["x"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "items[1].image")
    answer = await api.http.post("/v1/jobs", json={"items": [{"text": "a boat"}], "tags": ["x"], "metadata": {"y": 1}})
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert (job["state"], job["total"], job["tags"], job["metadata"]) == ("queued", 1, ["x"], {"y": 1})
    await work(api)
    job = (await api.http.get(f"/v1/jobs/{job['id']}")).json()
    assert (job["state"], job["counts"]["done"], job["errors"]) == ("done", 1, [])
    assert job["rate"] > 0
    assert await api.ids(text="a boat", top_k=1) != []


async def test_a_job_for_a_collection_that_is_not_there(api: Api) -> None:
    files = [("files", ("a.txt", b"a", "text/plain"))]
    for answer in (
        await api.http.post("/v1/jobs", json={"items": [{"text": "a"}], "collection": "none"}),
        await api.http.post("/v1/jobs", data={"collection": "none"}, files=files),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "collection_not_found"), answer.text
    bad = await api.http.post("/v1/jobs", json={"items": [{"text": "a"}], "collection": "../x"})
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "collection")
    assert (await api.http.get("/v1/jobs")).json()["jobs"] == []


async def test_files_and_an_archive_in_one_form(api: Api) -> None:
    packed = zipped({"a/one.png": picture(1), "note.txt": b"a note", "../evil.png": picture(2), ".hidden": b"x"})
    files = [
        ("files", ("loose.png", picture(3), "image/png")),
        ("files", ("broken.jpg", b"no image", "image/jpeg")),
        ("archive", ("all.zip", packed, "application/zip")),
    ]
    form = {"tags": ["a", "b"], "metadata": '{"year": 2024}', "id": "upload-1"}
    answer = await api.http.post("/v1/jobs", files=files, data=form)
    assert answer.status_code == 202, answer.text
    again = await api.http.post("/v1/jobs", files=files, data=form)
    assert (again.status_code, again.json()["id"]) == (200, "upload-1")
    assert answer.json()["counts"]["failed"] == 1
    await work(api)
    job = (await api.http.get("/v1/jobs/upload-1")).json()
    assert (job["state"], job["counts"]["done"]) == ("done", 3)
    assert {error["name"]: error["error_code"] for error in job["errors"]} == {
        "../evil.png": "unsafe_name",
        "broken.jpg": "image_unsupported",
    }
    page = (await api.http.get("/v1/items")).json()["items"]
    assert sorted(item["source"] for item in page) == ["a/one.png", "loose.png", "note.txt"]
    assert all(item["tags"] == ["a", "b"] and item["metadata"] == {"year": 2024} for item in page)
    assert [item["text"] for item in page if item["kind"] == "text"] == ["a note"]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({}, 400, "invalid_request", "body"),
        ({"items": []}, 400, "invalid_request", "body"),
        ({"items": [{}]}, 400, "invalid_request", "items[0]"),
        ({"items": [{"text": "a", "vector": [1]}]}, 400, "invalid_request", "items[0].vector"),
        ({"items": [{"text": "a"}], "id": "../x"}, 400, "invalid_request", "id"),
        ({"items": [{"text": "a"}] * 1001}, 400, "too_many_items", "items"),
        ({"folder": "relative"}, 400, "invalid_request", "folder"),
        ({"folder": "/etc"}, 403, "folder_not_allowed", "folder"),
        ({"folder": "/allowed/../etc"}, 403, "folder_not_allowed", "folder"),
        ({"urls": [""]}, 400, "invalid_request", "urls[0]"),
    ],
)
async def test_what_is_refused(api: Api, body: dict[str, Any], status: int, code: str, param: str) -> None:
    answer = await api.http.post("/v1/jobs", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert (await api.http.get("/v1/jobs")).json()["jobs"] == []
    assert not (api.folder.parent / "spool").exists() or list((api.folder.parent / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([("image", ("a.png", picture(1)))], "invalid_request"),
        ([("archive", ("a.zip", b"PK\x03\x04 cut off"))], "archive_damaged"),
        ([("archive", ("a.rar", b"Rar!"))], "archive_unsupported"),
        ([("archive", ("a.zip", zipped({})))], "no_items"),
        ([("archive", ("a.zip", zipped({"a": b"1"}))), ("archive", ("b.zip", zipped({"a": b"1"})))], "invalid_request"),
    ],
)
async def test_uploads_that_are_refused(api: Api, files: Any, code: str) -> None:
    answer = await api.http.post("/v1/jobs", files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert list((api.folder.parent / "spool").glob("*")) == []


async def test_another_job_under_the_same_id(api: Api) -> None:
    for text, status in (("a", 202), ("b", 409), ("a", 200)):
        answer = await api.http.post("/v1/jobs", json={"id": "mine", "items": [{"text": text}]})
        assert answer.status_code == status


async def test_pages_of_jobs_and_of_items(api: Api) -> None:
    for number in range(5):
        body = {"id": f"job-{number}", "items": [{"text": f"{number} {n}"} for n in range(3)]}
        assert (await api.http.post("/v1/jobs", json=body)).status_code == 202
    seen, before = [], None
    while True:
        page = (await api.http.get("/v1/jobs", params={"limit": 2} | ({"before": before} if before else {}))).json()
        seen += [job["id"] for job in page["jobs"]]
        if (before := page["next"]) is None:
            break
    assert seen == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    first = (await api.http.get("/v1/jobs/job-1/items", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/jobs/job-1/items", params={"limit": 2, "after": first["next"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["items[0]", "items[1]", "items[2]"]
    assert rest["next"] is None
    assert (await api.http.get("/v1/jobs/job-1/items?state=dead")).json()["items"] == []
    assert (await api.http.get("/v1/jobs/job-1/items?state=odd")).status_code == 400


async def test_cancel_and_retry(api: Api) -> None:
    await api.http.post("/v1/jobs", json={"id": "mine", "items": [{"text": "a"}]})
    assert (await api.http.delete("/v1/jobs/mine")).json()["state"] == "cancelled"
    await work(api)
    assert (await api.http.get("/v1/items")).json()["count"] == 0
    assert (await api.http.post("/v1/jobs/mine/retry", json={})).json()["state"] == "queued"
    await work(api)
    assert (await api.http.get("/v1/jobs/mine")).json()["state"] == "done"


@pytest.mark.parametrize(
    "call", ["GET /v1/jobs/x", "GET /v1/jobs/x/items", "DELETE /v1/jobs/x", "POST /v1/jobs/x/retry"]
)
async def test_a_job_that_is_not_there(api: Api, call: str) -> None:
    answer = await api.http.request(*call.split(), json={} if call.startswith("POST") else None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("id", ["%00", "a%00b", "-x", "a.b", "a%0A", "x" * 65])
async def test_what_is_no_id_of_a_job(api: Api, id: str) -> None:
    """PostgreSQL has no NUL in a text: it was an internal error there."""
    for call in (
        f"GET /v1/jobs/{id}",
        f"GET /v1/jobs/{id}/items",
        f"DELETE /v1/jobs/{id}",
        f"GET /v1/jobs?before={id}",
    ):
        answer = await api.http.request(*call.split())
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), call


async def test_only_a_form_that_creates_a_job_may_be_large(start: Start) -> None:
    async with start(limits=HttpLimits(max_body_bytes=2000, max_job_bytes=200_000)) as api:
        large = [("files", ("a.txt", b"x" * 10_000)), ("files", ("b.txt", b"y" * 10_000))]
        assert (await api.http.post("/v1/jobs", files=large)).status_code == 202
        assert (await api.http.post("/v1/jobs", json={"items": [{"text": "x" * 3000}]})).status_code == 413
        assert (await api.http.post("/v1/items", files=[("image", ("a", b"x" * 3000))])).status_code == 413
        assert (await api.http.post("/v1/jobs", files=[("files", ("a", b"x" * 300_000))])).status_code == 413


async def test_uploads_survive_a_full_disk(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "fsync", full)
    answer = await api.http.post("/v1/jobs", files=[("files", ("a.png", picture(1)))])
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")
    assert list((api.folder.parent / "spool").glob("*")) == []
