"""From the settings of jobs to what the processes that have to do with them are told."""

from __future__ import annotations

from cluster.settings import Settings
from deployments.fetching import FetchLimits
from deployments.jobs.archives import ArchiveLimits
from deployments.jobs.intake import JobLimits
from deployments.jobs.leases import LeaseLimits
from deployments.jobs.options import JobsOptions
from deployments.jobs.worker import WorkLimits


def jobs_options(settings: Settings) -> JobsOptions:
    jobs = settings.jobs
    archive = ArchiveLimits(
        members=jobs.archive.members,
        member_bytes=settings.images.max_bytes,
        total_bytes=jobs.archive.bytes,
        ratio=jobs.archive.ratio,
    )
    return JobsOptions(
        database_url=settings.database.url_in(settings.data_dir),
        spool_path=settings.data_dir / "spool",
        folders=jobs.folders,
        limits=JobLimits(items=jobs.max_items, archive=archive, urls=jobs.urls.enabled),
        leases=LeaseLimits(lease_s=jobs.lease_s, attempts=jobs.attempts, keep_s=jobs.keep_s),
        work=WorkLimits(concurrency=jobs.concurrency, item_timeout_s=jobs.item_timeout_s),
        broker_url=None if jobs.broker_url is None else jobs.broker_url.get_secret_value(),
        fetch=_fetch_limits(settings),
        max_workers=jobs.scale.max_replicas,
    )


def _fetch_limits(settings: Settings) -> FetchLimits | None:
    urls = settings.jobs.urls
    if not urls.enabled:
        return None
    return FetchLimits(
        hosts=urls.hosts,
        ports=urls.ports,
        max_bytes=settings.images.max_bytes,
        timeout_s=urls.timeout_s,
        max_redirects=urls.max_redirects,
    )
