"""`crossray export` and `crossray import`: a collection as a Parquet file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.connection import CollectionOption, JsonOption, UrlOption, connect
from cluster.cli.output import progress, remark, write_json

SHOWN_FAILURES = 20

EXPORT_HELP = """Write every item to one Parquet file: texts, tags, metadata, vectors, images, and the vector contract.

The file appears whole or not at all. Any Parquet reader opens it; `vector` is a column of float32 lists.

**Examples**

    crossray export backup.parquet
    crossray export vectors.parquet --no-media"""

IMPORT_HELP = """Store the items of an export that are not there yet. A run that was stopped is simply run again.

Vectors are stored as they are when the server's vector contract is the one they were made under.

**Examples**

    crossray import backup.parquet
    crossray import backup.parquet --reembed    # another encoder runs now"""


def register(app: typer.Typer) -> None:
    app.command("export", help=EXPORT_HELP, rich_help_panel="Quality and data")(export_command)
    app.command("import", help=IMPORT_HELP, rich_help_panel="Quality and data")(import_command)


def export_command(
    file: Annotated[Path, typer.Argument(help="The Parquet file to write.", dir_okay=False, show_default=False)],
    media: Annotated[
        bool, typer.Option("--media/--no-media", help="Whether images are in it; without, images cannot be imported.")
    ] = True,
    collection: CollectionOption = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.transfer import export_items

    with connect(url, patient=True, collection=collection) as client:
        total = client.health().count if collection == "default" else None
        with progress("Exporting", total) as advance:
            items = export_items(client, file, media=media, advance=advance)
    size = file.stat().st_size
    if as_json:
        write_json({"file": str(file), "items": items, "bytes": size, "media": media})
    else:
        typer.echo(f"{items} items in {file} ({size / 1e6:.1f} MB)")


def import_command(
    file: Annotated[
        Path, typer.Argument(help="The Parquet file to read.", exists=True, dir_okay=False, show_default=False)
    ],
    reembed: Annotated[
        bool, typer.Option("--reembed", help="Leave the vectors behind and encode texts and images anew.")
    ] = False,
    collection: CollectionOption = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.transfer import count_rows, import_items

    total = count_rows(file)
    with connect(url, patient=True, collection=collection) as client:
        client.health()
        with progress("Importing", total) as advance:
            report = import_items(client, file, reembed=reembed, advance=advance)
    if as_json:
        failed = [{"id": failure.source, "reason": failure.reason} for failure in report.failed]
        write_json({"imported": report.imported, "skipped": report.skipped, "failed": failed})
    else:
        for failure in report.failed[:SHOWN_FAILURES]:
            remark(f"  {failure.source}: {failure.reason}")
        typer.echo(f"{report.imported} imported, {report.skipped} there already, {len(report.failed)} failed")
    if report.failed:
        raise typer.Exit(1)
