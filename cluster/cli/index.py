"""`crossray index`: photos, texts, tables and archives into the running server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from cluster.cli.connection import CollectionOption, JsonOption, UrlOption, connect
from cluster.cli.output import progress, remark, write_json
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from cluster.client import Client
    from cluster.indexing.ledger import Ledger
    from cluster.indexing.plan import IndexPlan
    from cluster.indexing.report import IndexReport

SHOWN_FAILURES = 20
Via: TypeAlias = Literal["auto", "ray", "http"]

HELP = """Index photos and texts: folders are walked, what is there already is skipped.

PATHS are files, folders, or URLs of S3, GCS, Azure or HDFS (`s3://bucket/photos`, with `*` where wanted).

**What is read**

- Images are told by their content, whatever they are called; a .txt file is one text. Hidden files are passed over.
- .jsonl, .csv, .tsv and .parquet have an item a row: a column `image` (bytes, base64, a data: URI, or a path beside the
file), `text`, or both, and `id`, `source`, `tags`, `metadata` where wanted.
- .tar is a WebDataset (`0001.jpg`, `0001.txt`, `0001.json` are one item), or just photos. .jsonl, .csv and .tar may be
compressed (.gz, .bz2, .xz).
- A folder gives its photos and texts; its tables and archives only where it has no photos.

A run that was stopped is simply run again: it goes on where it was, and content that arrived is not sent twice. A bad
file or row is listed at the end with its line, and stops nothing.

**Examples**

    crossray index ~/Pictures
    crossray index ~/Pictures/2024 --tag holiday --tag year=2024 --tag place=Oslo
    crossray index catalogue.csv --image-column photo --text-column title --other-columns metadata
    crossray index 's3://my-bucket/shards/*.tar'
    crossray index --texts captions.jsonl
    crossray index ~/Pictures/Oslo --collection holidays
    crossray search "a red boat" --filter 'year>=2024, tags=holiday'"""


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="Search")(index)


def index(
    paths: Annotated[list[str] | None, typer.Argument(help="Files, folders and URLs.", show_default=False)] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            help="`name` gives every new item this tag, `key=value` this metadata field (numbers and true/false are "
            "understood). May be repeated. Items that are there already keep what they have.",
            show_default=False,
        ),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(help="A file with one text a line, or a .jsonl of texts or rows. May be repeated."),
    ] = None,
    image_column: Annotated[
        str | None,
        typer.Option(
            help='Which column, or which extension in a tar, is the image; "" for none. '
            "[default: image, image_path, image_bytes, image_base64, file_name, jpg, jpeg, png or webp]",
            show_default=False,
        ),
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option(help='Which column is the text; "" for none. [default: text]', show_default=False),
    ] = None,
    other_columns: Annotated[
        Literal["refuse", "metadata", "ignore"],
        typer.Option(help="What becomes of columns that are none of the known: an error, metadata, or nothing."),
    ] = "refuse",
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Items in flight.")] = 16,
    via: Annotated[
        Via,
        typer.Option(
            help="http: this process reads and uploads. ray: Ray Data reads and writes inside the cluster, which must "
            "reach the sources. auto: ray with --ray-address, else http, the faster one on one machine."
        ),
    ] = "auto",
    ray_address: Annotated[
        str | None,
        typer.Option(help="host:port of the cluster's Ray head (GCS), where `crossray up` did not start it here."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read everything, also what an earlier run had done with.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when any item failed, not only all.")] = False,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            help="Where to leave how the run ended for Prometheus: a .prom in the folder of node-exporter's textfile "
            "collector.",
            show_default=False,
        ),
    ] = None,
    collection: CollectionOption = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.indexing.columns import Columns
    from cluster.indexing.plan import IndexPlan
    from cluster.indexing.sources import find_sources
    from cluster.run_metrics import recorded_run
    from cluster.terms import parse_tags

    if not paths and not texts:
        raise typer.BadParameter("give files or folders, or --texts FILE", param_hint="PATHS")
    tags, metadata = parse_tags(tag or [])
    found = find_sources(paths or [], texts or [])
    if not found.shards:
        raise ClusterError("found no image, no .txt file and no table or archive there: give a folder that has some")
    if found.passed_over:
        remark(f"passed over {len(found.passed_over)} files beside photos, such as {found.passed_over[0]}: name them")
    columns = Columns(image_column, text_column, other_columns)
    plan = IndexPlan(found.shards, columns, tags, metadata, concurrency, collection)
    with recorded_run(metrics_file, "index") as run:
        report = _run(plan, url, via, ray_address, again)
        run.items = {"indexed": report.indexed, "skipped": report.skipped, "failed": len(report.failed)}
        run.succeeded = not report.failed
    if as_json:
        write_json(_as_json(report))
    else:
        _show(report)
    if report.failed and (strict or len(report.failed) == report.total):
        raise typer.Exit(1)


def _run(plan: IndexPlan, url: str | None, via: Via, ray_address: str | None, again: bool) -> IndexReport:
    from cluster.bulk.choice import choose_address
    from cluster.indexing.ledger import Ledger
    from cluster.settings import load_settings

    settings = load_settings()
    with (
        connect(url, patient=True, connections=plan.concurrency + 1, collection=plan.collection) as client,
        progress("Indexing", plan.rows) as advance,
    ):
        client.health()
        address = choose_address(via, ray_address, client.url, settings, plan.shards)
        checkpoint = plan.open_checkpoint(client, settings.cache_dir, again=again, remark=remark)
        ledger = Ledger(plan.shards, checkpoint, advance)
        complete = False
        try:
            report = _send(plan, client, ledger, address, settings.cache_dir)
            complete = True
        finally:
            ledger.close(complete=complete)
            if not complete:
                done = ledger.report
                remark(f"stopped: {done.indexed} indexed, {done.skipped} there already; run it again to go on")
        return report


def _send(plan: IndexPlan, client: Client, ledger: Ledger, address: str | None, cache_dir: Path) -> IndexReport:
    """Through Ray Data in the cluster at `address`, or through the API."""
    if address is not None:
        from cluster.bulk.run import RayIndexer

        return RayIndexer(address, plan, ledger, cache_dir).run()
    from cluster.indexing.upload import Indexer

    indexer = Indexer(client, tags=plan.tags, metadata=plan.metadata, concurrency=plan.concurrency, ledger=ledger)
    return indexer.run(ledger.work(plan.columns))


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
        "remembered": report.remembered,
        "failed": [{"source": failure.source, "reason": failure.reason} for failure in report.failed],
        "seconds": round(report.seconds, 3),
        "per_second": round(report.per_second, 2),
    }
