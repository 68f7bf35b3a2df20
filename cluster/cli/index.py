"""`crossray index`: folders of photos and texts into the running server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.connection import JsonOption, UrlOption, connect
from cluster.cli.output import progress, remark, write_json
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from cluster.indexing.sources import Source
    from cluster.indexing.upload import IndexReport

SHOWN_FAILURES = 20

HELP = """Index photos and texts: folders are walked, what is there already is skipped.

Images are told by their content, whatever they are called; a .txt file is one text. Hidden files are passed over.
A run that was stopped is simply run again: content that arrived is not sent twice. A bad file is listed at the end and
stops nothing.

**Examples**

    crossray index ~/Pictures
    crossray index ~/Pictures/2024 --tag holiday --tag year=2024 --tag place=Oslo
    crossray index --texts captions.jsonl
    crossray search "a red boat" --filter 'year>=2024, tags=holiday'"""


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="Search")(index)


def index(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders.", show_default=False)] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            help="`name` gives every new item this tag, `key=value` this metadata field (numbers and true/false are "
            "understood). May be repeated. Items that are there already keep what they have.",
            show_default=False,
        ),
    ] = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="A file with one text a line, or a .jsonl of strings or {text, source, tags, metadata}."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Uploads in flight.")] = 16,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when any file failed, not only all.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.indexing.sources import find_sources, read_text_list
    from cluster.terms import parse_tags

    if not paths and not texts:
        raise typer.BadParameter("give files or folders, or --texts FILE", param_hint="PATHS")
    tags, metadata = parse_tags(tag or [])
    sources = find_sources(paths or [])
    for path in texts or []:
        sources.extend(read_text_list(path))
    if not sources:
        raise ClusterError("found no image and no .txt file there: give a folder that has some")
    report = _run(sources, tags, metadata, concurrency, url)
    if as_json:
        write_json(_as_json(report))
    else:
        _show(report)
    if report.failed and (strict or len(report.failed) == report.total):
        raise typer.Exit(1)


def _run(
    sources: list[Source], tags: tuple[str, ...], metadata: dict[str, Any], concurrency: int, url: str | None
) -> IndexReport:
    from cluster.indexing.upload import Indexer

    with (
        connect(url, patient=True, connections=concurrency + 1) as client,
        progress("Indexing", len(sources)) as advance,
    ):
        client.health()
        indexer = Indexer(client, tags=tags, metadata=metadata, concurrency=concurrency, advance=advance)
        try:
            return indexer.run(sources)
        except BaseException:
            done = indexer.report
            remark(f"stopped: {done.indexed} indexed, {done.skipped} there already; run it again to go on")
            raise


def _show(report: IndexReport) -> None:
    for failure in report.failed[:SHOWN_FAILURES]:
        remark(f"  {failure.source}: {failure.reason}")
    if len(report.failed) > SHOWN_FAILURES:
        remark(f"  and {len(report.failed) - SHOWN_FAILURES} more; --json lists all")
    typer.echo(
        f"{report.indexed} indexed, {report.skipped} there already, {len(report.failed)} failed "
        f"in {report.seconds:.1f} s ({report.per_second:.1f}/s)"
    )


def _as_json(report: IndexReport) -> dict[str, Any]:
    return {
        "indexed": report.indexed,
        "skipped": report.skipped,
        "failed": [{"source": failure.source, "reason": failure.reason} for failure in report.failed],
        "seconds": round(report.seconds, 3),
        "per_second": round(report.per_second, 2),
    }
