"""The list of jobs, over the real API with workers that a test lets work."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from deployments.api import HttpLimits, build_api
from deployments.services import Services
from page.api import Api
from page.browse import browse
from page.jobs import cancel_job, jobs_view, retry_job
from page.site import Site
from page.words import Words
from tests.unit.page.conftest import Photo, Work

pytest.importorskip("gradio", reason="the tabs are Gradio's")

from page.index_tab import send_job


async def test_a_job_from_its_files_to_its_errors(site: Site, photo: Photo, tmp_path: Path, work: Work) -> None:
    assert "There are no jobs." in (await jobs_view(site)).html
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    said = await send_job(site, [photo("red.png", "red"), broken], ["t"], "default")
    assert "has 2 items" in said
    queued = await jobs_view(site)
    assert queued.moves
    assert "0 of 2 items have ended" in queued.html
    assert 'data-event="cancel"' in queued.html
    await work()
    done = await jobs_view(site)
    assert not done.moves
    assert "1 stored, 1 failed, 0 cancelled" in done.html
    assert ">done<" in done.html
    assert "<strong>broken.jpg</strong>: " in done.html
    assert 'data-event="cancel"' not in done.html
    assert "red.png" in await browse(site, "")
    assert "The API says: " in await send_job(site, [broken], [], "another"), "there is no such collection"


async def test_a_job_is_cancelled_and_done_anew(site: Site, photo: Photo, work: Work) -> None:
    await send_job(site, [photo("red.png", "red")], [], "default")
    [job] = (await site.api.jobs(None, 5))["jobs"]
    cancelled = await cancel_job(site, job["id"])
    assert ">cancelled<" in cancelled.html
    again = await retry_job(site, job["id"])
    assert again.moves
    await work()
    assert "1 stored, 0 failed" in (await jobs_view(site)).html
    assert 'role="alert"' in (await cancel_job(site, "job-of-nobody")).html
    assert 'role="alert"' in (await retry_job(site, "job-of-nobody")).html


async def test_jobs_page_by_page(site: Site, monkeypatch: pytest.MonkeyPatch, photo: Photo) -> None:
    monkeypatch.setattr("page.jobs.PAGE_JOBS", 1)
    for name in ("a.png", "b.png"):
        await send_job(site, [photo(name, "red")], [], "default")
    latest = (await jobs_view(site)).html
    before = re.search(r'data-event="jobs" data-before="([^"]+)"', latest)
    assert before is not None
    older = (await jobs_view(site, before[1])).html
    ids = [re.search(r'data-id="(job-[^"]+)"', html)[1] for html in (latest, older)]  # type: ignore[index]
    assert len(set(ids)) == 2
    assert "Latest jobs" in older


async def test_a_server_without_jobs_says_so(services: Services) -> None:
    api = Api("http://127.0.0.1", transport=httpx.ASGITransport(build_api(services, HttpLimits())))
    site = Site(api, Words("en"), "/ui")
    assert "Jobs are off on this server." in (await jobs_view(site)).html
    assert "Jobs are off on this server." in await send_job(site, [], [], "default")
    assert await api.collections() == ["default"], "nor has it other collections"
    await api.close()
