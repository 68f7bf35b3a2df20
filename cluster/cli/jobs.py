"""`crossray jobs`: asynchronous indexing made, looked at, waited for, cancelled, and what failed done anew."""

from __future__ import annotations

import inspect
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.connection import CollectionOption, JsonOption, UrlOption, connect
from cluster.cli.output import progress, remark, results, with_examples, write_json
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from cluster.client import Client
    from deployments.schemas.jobs import JobAnswer, JobItemAnswer

LOOK_S = 0.5
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
IdArgument = Annotated[str, typer.Argument(help="The job's id.", show_default=False)]

HELP = with_examples(
    "Jobs: many items indexed later, by the server, which goes on with them when this machine is gone.",
    "crossray jobs create photos.zip",
    "crossray jobs list",
    "crossray jobs wait job-018f2c",
    "crossray jobs errors job-018f2c",
    "crossray jobs retry job-018f2c",
)
CREATE_HELP = with_examples(
    """Make a job, and wait for it with its progress shown.

FILES are images, .txt files, and at most one archive (zip, tar, tar.gz or tar.bz2): they are uploaded in one request,
and kept by the server until they are indexed. A folder of this machine is for `crossray index`, which uploads nothing
twice. What the server has to allow first: `--folder` (the setting jobs.folders) and `--urls` (jobs.urls.enabled).

Ctrl-C stops the waiting and not the job. A request that is sent again with the same `--id` makes no second job. Exits
with 1 where the job failed or was cancelled.""",
    "crossray jobs create photos.zip --tag holiday --tag year=2024",
    "crossray jobs create cat.jpg dog.jpg note.txt",
    "crossray jobs create --folder /srv/photos --detach",
    "crossray jobs create --urls list.txt --collection holidays --json",
)


def register(app: typer.Typer) -> None:
    jobs = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    jobs.command(help=CREATE_HELP)(create)
    for command in (show, wait, cancel, retry, errors):
        text = inspect.cleandoc(command.__doc__ or "")
        jobs.command(help=with_examples(text, f"crossray jobs {command.__name__} job-018f2c"))(command)
    jobs.command("list", help=with_examples("The latest jobs.", "crossray jobs list --limit 5"))(list_jobs)
    app.add_typer(jobs, name="jobs", rich_help_panel="Search")


def create(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files, and at most one archive.", exists=True, show_default=False)
    ] = None,
    folder: Annotated[str | None, typer.Option(help="A folder of the server, with all below it.")] = None,
    urls: Annotated[
        Path | None,
        typer.Option(help="A file with a URL a line; the server fetches them.", exists=True, dir_okay=False),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="`name` gives every item this tag, `key=value` this metadata field. May be repeated."),
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Yours to choose; else one is made.")] = None,
    collection: CollectionOption = "default",
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for it.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.terms import parse_tags

    tags, metadata = parse_tags(tag or [])
    wanted: dict[str, Any] = {"tags": tags, "metadata": metadata, "id": id}
    with connect(url, patient=True, collection=collection) as client:
        if files and (folder or urls):
            raise typer.BadParameter("files are one job, a server's folder and URLs another", param_hint="FILES")
        if files:
            job = client.upload_job(*_apart(files), **wanted)
        elif folder or urls:
            job = client.create_job(folder=folder, urls=[] if urls is None else _lines(urls), **wanted)
        else:
            raise typer.BadParameter("give files, --folder or --urls", param_hint="FILES")
        if not detach:
            remark(f"{job.id}: Ctrl-C stops the waiting, not the job")
            job = _waited(client, job.id)
    _tell(job, as_json)
    if job.state in ("failed", "cancelled"):
        raise typer.Exit(1)


def _apart(files: list[Path]) -> tuple[list[Path], Path | None]:
    """Files, and the archive among them."""
    if folders := [path for path in files if path.is_dir()]:
        raise typer.BadParameter(f"{folders[0]} is a folder: crossray index {folders[0]}", param_hint="FILES")
    archives = [path for path in files if path.name.lower().endswith(ARCHIVES)]
    if len(archives) > 1:
        raise typer.BadParameter("one archive a job", param_hint="FILES")
    return [path for path in files if path not in archives], next(iter(archives), None)


def _lines(path: Path) -> list[str]:
    """Its lines, less empty ones and those that begin with #."""
    try:
        lines = (line.strip() for line in path.read_text("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise ClusterError(f"{path} is not UTF-8: give a file with a URL a line") from error
    return [line for line in lines if line and not line.startswith("#")]


def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, the latest first.")] = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """The latest jobs."""
    with connect(url) as client:
        page = client.jobs(limit)
    if as_json:
        write_json(page.model_dump(mode="json"))
        return
    for job in page.jobs:
        results().print(f"{job.id}  {_when(job.created_at)}  {_summary(job)}", markup=False)


def show(id: IdArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """How far a job is, and its first errors."""
    with connect(url) as client:
        _tell(client.job(id), as_json)


def wait(id: IdArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Wait until a job has ended. Exits with 1 where it failed or was cancelled."""
    with connect(url, patient=True) as client:
        job = _waited(client, id)
    _tell(job, as_json)
    if job.state != "done":
        raise typer.Exit(1)


def cancel(id: IdArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Cancel what nobody works on yet; what is under way ends."""
    with connect(url) as client:
        _tell(client.cancel_job(id), as_json)


def retry(id: IdArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """Do dead letters and cancelled items anew."""
    with connect(url) as client:
        _tell(client.retry_job(id), as_json)


def errors(id: IdArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """All failed and dead items of a job, with the reasons."""
    with connect(url) as client:
        found = [item for state in ("failed", "dead") for item in _items(client, id, state)]
    if as_json:
        write_json([item.model_dump(mode="json") for item in found])
        return
    for item in found:
        results().print(_line(item), markup=False)


def _items(client: Client, id: str, state: str) -> list[JobItemAnswer]:
    items: list[JobItemAnswer] = []
    after: int | None = -1
    while after is not None:
        page = client.job_items(id, state, after)
        items += page.items
        after = page.next
    return items


def _waited(client: Client, id: str) -> JobAnswer:
    job = client.job(id)
    with progress("Indexing", job.total) as advance:
        told = 0
        while True:
            ended = job.total - job.counts.pending - job.counts.leased
            advance(ended - told)
            told = ended
            if job.finished_at is not None:
                return job
            time.sleep(LOOK_S)
            job = client.job(id)


def _tell(job: JobAnswer, as_json: bool) -> None:
    if as_json:
        write_json(job.model_dump(mode="json"))
        return
    results().print(f"{job.id}  {_summary(job)}", markup=False)
    for item in job.errors:
        results().print(f"  {_line(item)}", markup=False)


def _summary(job: JobAnswer) -> str:
    counts = job.counts.model_dump()
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    left = "" if job.eta_s is None else f"; {job.rate:.1f}/s, about {job.eta_s:.0f} s left"
    return f"{job.state}: {told} of {job.total}{left}"


def _line(item: JobItemAnswer) -> str:
    return f"{item.name}: {item.error_message} [{item.state}, {item.error_code}, {item.attempts} attempts]"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
