"""`crossray doctor`: what is installed, what is missing, what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from cluster.cli.connection import JsonOption
from cluster.cli.output import results, write_json

MARKS = {"ok": "[green]ok[/]      ", "optional": "[yellow]optional[/]", "wrong": "[red]wrong[/]   "}

HELP = """Look at this machine: packages, memory, GPU, disk, port, server; and say which command mends what is missing.

Exits with 1 when something that these settings need is missing."""


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="This machine")(doctor)


def doctor(as_json: JsonOption = False) -> None:
    from rich.markup import escape

    from cluster.doctor import examine
    from cluster.settings import load_settings

    checks = examine(load_settings())
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
