"""`crossray backup` and `crossray restore`: a collection in a folder whose every byte is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.connection import JsonOption, UrlOption, connect
from cluster.cli.output import progress, remark, write_json

SHOWN = 20

BACKUP_HELP = """Write every item into a folder while the server goes on: vectors, texts, tags, metadata, images.

The folder holds Parquet files as `crossray export` writes them, and last a manifest with their checksums. A run that
was stopped goes on after its last whole file.

**Examples**

    crossray backup /backups/monday
    crossray restore /backups/monday --check-only    # needs no server"""

RESTORE_HELP = """Store the items of a backup that are not there yet, then compare every one with the backup.

Checksums come first: where a file is damaged, nothing is stored. Vectors and images come back bit for bit. A server
with another vector contract is refused. A run that was stopped is simply run again.

**Examples**

    crossray restore /backups/monday
    crossray restore /backups/monday --check-only    # the checksums alone; needs no server"""


def register(app: typer.Typer) -> None:
    app.command("backup", help=BACKUP_HELP, rich_help_panel="Quality and data")(backup_command)
    app.command("restore", help=RESTORE_HELP, rich_help_panel="Quality and data")(restore_command)


def backup_command(
    folder: Annotated[Path, typer.Argument(help="A new folder, or an empty one.", file_okay=False, show_default=False)],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.backup import back_up

    with connect(url, patient=True) as client, progress("Backing up", client.health().count) as advance:
        manifest = back_up(client, folder, advance=advance)
    size = sum(file.bytes for file in manifest.files)
    if as_json:
        summary = {"folder": str(folder), "items": manifest.items, "bytes": size, "fingerprint": manifest.fingerprint}
        write_json(summary | {"files": len(manifest.files)})
    else:
        typer.echo(f"{manifest.items} items in {folder} ({size / 1e6:.1f} MB)")


def restore_command(
    folder: Annotated[
        Path, typer.Argument(help="What `crossray backup` wrote.", exists=True, file_okay=False, show_default=False)
    ],
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Whether what was stored is compared with the backup.")
    ] = True,
    check_only: Annotated[bool, typer.Option("--check-only", help="Check the files, and store nothing.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.backup import check_backup, differing_items, restore

    manifest = check_backup(folder)
    if check_only:
        _tell(as_json, {"items": manifest.items, "finished_at": manifest.finished_at}, "{items} items, all files whole")
        return
    differing: list[str] = []
    with connect(url, patient=True) as client:
        with progress("Restoring", manifest.items) as advance:
            report = restore(client, folder, manifest, advance=advance)
        if verify:
            with progress("Verifying", manifest.items) as advance:
                differing = list(differing_items(client, folder, manifest, advance=advance))
    for failure in report.failed[:SHOWN]:
        remark(f"  {failure.source}: {failure.reason}")
    for item_id in differing[:SHOWN]:
        remark(f"  {item_id}: is not on the server as it is in the backup")
    summary = {"imported": report.imported, "skipped": report.skipped, "failed": len(report.failed)}
    line = "{imported} restored, {skipped} there already, {failed} failed"
    _tell(as_json, summary | {"differing": differing if verify else None}, line)
    if report.failed or differing:
        raise typer.Exit(1)


def _tell(as_json: bool, summary: dict[str, object], line: str) -> None:
    if as_json:
        write_json(summary)
    else:
        typer.echo(line.format(**summary))
