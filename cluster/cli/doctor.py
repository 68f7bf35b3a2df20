"""`crossray doctor`: what is installed, what is missing, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.connection import JsonOption, ProfileOption
from cluster.cli.output import results, write_json

if TYPE_CHECKING:
    from cluster.doctor_encoder import EncoderCheck
    from cluster.settings import Settings

MARKS = {"ok": "[green]ok[/]      ", "optional": "[yellow]optional[/]", "wrong": "[red]wrong[/]   "}

HELP = """Look at this machine: packages, memory, GPU, disk, port, server; and say which command mends what is missing.

With `--encoder`, load an encoder and see whether it still gives its golden vectors instead: those that come with
Crossray, or those that this machine recorded the first time.

Exits with 1 when something that these settings need is missing, or a vector has moved.

**Examples**

    crossray doctor
    crossray doctor --profile qwen
    crossray doctor --encoder             # the profile's
    crossray doctor --encoder starter --json"""


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="This machine")(doctor)


def doctor(
    name: Annotated[
        str | None, typer.Argument(help="With --encoder: which, if not the profile's.", show_default=False)
    ] = None,
    encoder: Annotated[bool, typer.Option("--encoder", help="Check an encoder's golden vectors.")] = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.settings import load_settings

    settings = load_settings(profile)
    if encoder:
        _check_encoder(settings, name, as_json)
        return
    if name is not None:
        raise typer.BadParameter("a name goes with --encoder", param_hint="NAME")
    _check_machine(settings, as_json)


def _check_machine(settings: Settings, as_json: bool) -> None:
    from rich.markup import escape

    from cluster.doctor import examine

    checks = examine(settings)
    wrong = [check for check in checks if check.status == "wrong"]
    if as_json:
        write_json({"ok": not wrong, "checks": [asdict(check) for check in checks]})
    else:
        console = results()
        for check in checks:
            console.print(f"{MARKS[check.status]}  [bold]{escape(check.name)}[/]  {escape(check.detail)}")
            if check.mend is not None:
                console.print(f"            → {escape(check.mend)}")
    if wrong:
        raise typer.Exit(1)


def _check_encoder(settings: Settings, name: str | None, as_json: bool) -> None:
    from cluster.doctor_encoder import examine_encoder

    check = examine_encoder(settings, name or settings.encoder.name)
    if as_json:
        write_json(check.to_json())
    else:
        _show_encoder(check)
    if not check.report.ok:
        raise typer.Exit(1)


def _show_encoder(check: EncoderCheck) -> None:
    from rich.table import Table

    from encoders.golden.check import MIN_COSINE

    table = Table("input", "cosine to its golden vector", "to the nearest other", "")
    for name, cosine in check.report.cosines.items():
        moved = name in check.report.differing
        mark = "[red]moved[/]" if moved else "[green]ok[/]"
        table.add_row(name, f"{cosine:.6f}", f"{check.report.nearest_other[name]:.3f}", mark)
    console = results()
    console.print(f"{check.encoder}, contract {check.report.fingerprint}: golden vectors {check.source}")
    console.print(table)
    if not check.report.ok:
        console.print(
            f"[red]{len(check.report.differing)} vectors are below {MIN_COSINE}[/]: vectors made now do not fit those "
            "that are indexed. Look for a changed driver, library or weights file."
        )
