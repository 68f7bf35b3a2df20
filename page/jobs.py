"""Jobs as a list: how far each is, its errors, and the buttons that end it or do it anew."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from page.api import ApiFault, Json
from page.markup import button, fault, note, text
from page.site import Site
from page.words import Words

PAGE_JOBS = 5
ENDED = ("done", "failed", "dead", "cancelled")
Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobList:
    """The list as HTML, and whether it will look different soon."""

    html: str
    moves: bool = False


async def jobs_view(site: Site, before: str = "") -> JobList:
    """A page of jobs, those behind the job `before`, each with its first errors."""
    try:
        page = await site.api.jobs(before or None, PAGE_JOBS)
        jobs = await asyncio.gather(*(_with_errors(site, job) for job in page["jobs"]))
    except ApiFault as error:
        return JobList(note(site.words("jobs.off")) if error.is_off else fault(site.words, error))
    html = job_list(site.words, jobs, before, page["next"])
    return JobList(html, moves=any(job["finished_at"] is None for job in jobs))


async def cancel_job(site: Site, id: str) -> JobList:
    try:
        await site.api.cancel_job(id)
    except ApiFault as error:
        return JobList(fault(site.words, error))
    return await jobs_view(site)


async def retry_job(site: Site, id: str) -> JobList:
    try:
        await site.api.retry_job(id)
    except ApiFault as error:
        return JobList(fault(site.words, error))
    return await jobs_view(site)


async def _with_errors(site: Site, job: Json) -> Json:
    return await site.api.job(job["id"]) if _failures(job) else job


def job_list(words: Words, jobs: Sequence[Job], before: str, next: str | None) -> str:
    """`before` is the cursor that this page began with, `next` that of the page behind it."""
    if not jobs and not before:
        return note(words("jobs.none"))
    parts = [f'<ol class="cr-jobs">{"".join(_job(words, job) for job in jobs)}</ol>']
    if before:
        parts.append(button(words("jobs.latest"), "jobs", before=""))
    if next is not None:
        parts.append(button(words("jobs.older"), "jobs", before=next))
    return "".join(parts)


def _job(words: Words, job: Job) -> str:
    counts = job["counts"]
    ended = sum(counts[state] for state in ENDED)
    said = words("jobs.progress", ended=ended, total=job["total"])
    created = datetime.fromtimestamp(job["created_at"], UTC)
    about = [said, words("jobs.counts", done=counts["done"], failed=_failures(job), cancelled=counts["cancelled"])]
    if job["finished_at"] is None and job["rate"]:
        about.append(words("jobs.rate", rate=f"{job['rate']:.1f}"))
    if job["finished_at"] is None and job["eta_s"] is not None:
        about.append(words("jobs.eta", seconds=f"{job['eta_s']:.0f}"))
    about.append(words("jobs.created", when=f"{created:%Y-%m-%d %H:%M} UTC"))
    return (
        f'<li class="cr-job cr-job-{text(job["state"])}" data-id="{text(job["id"])}"><p class="cr-job-head"><code>'
        f'{text(job["id"])}</code> <span class="cr-chip">{text(words("jobs." + job["state"]))}</span></p>'
        f'<progress max="{max(job["total"], 1)}" value="{ended}" aria-label="{text(said)}"></progress>'
        f"<p>{text(' · '.join(about))}</p>{_errors(words, job)}{_actions(words, job)}</li>"
    )


def _errors(words: Words, job: Job) -> str:
    errors = job.get("errors", [])
    if not errors:
        return ""
    rows = "".join(
        f'<li><strong>{text(one["name"])}</strong>: <span lang="en">{text(one["error_message"] or one["error_code"])}'
        "</span></li>"
        for one in errors
    )
    more = _failures(job) - len(errors)
    rows += f"<li>{text(words('jobs.more_errors', count=more))}</li>" if more > 0 else ""
    summary = text(words("jobs.errors", count=_failures(job)))
    return f"<details open><summary>{summary}</summary><ul>{rows}</ul></details>"


def _actions(words: Words, job: Job) -> str:
    id, counts = job["id"], job["counts"]
    if job["finished_at"] is None:
        confirm = words("jobs.cancel.confirm")
        return button(words("jobs.cancel"), "cancel", words("jobs.cancel.of", id=id), id=id, confirm=confirm)
    if counts["dead"] or counts["cancelled"]:
        return button(words("jobs.retry"), "retry", words("jobs.retry.of", id=id), id=id)
    return ""


def _failures(job: Job) -> int:
    """Items that are themselves at fault, and those that failed as often as is tried."""
    count: int = job["counts"]["failed"] + job["counts"]["dead"]
    return count
