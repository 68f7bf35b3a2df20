"""`crossray model`: which encoders there are."""

from __future__ import annotations

import typer

from cluster.cli.connection import JsonOption
from cluster.cli.output import write_json


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The encoders that Crossray can run.", no_args_is_help=True, rich_markup_mode="markdown")
    group.command("list", help="List the encoders, by the name that settings and `crossray eval --encoder` take.")(
        list_models
    )
    app.add_typer(group, name="model", rich_help_panel="This machine")


def list_models(as_json: JsonOption = False) -> None:
    from encoders.registry import ENCODERS

    if as_json:
        rows = {name: {"extra": entry.extra, "description": entry.description} for name, entry in ENCODERS.items()}
        write_json({"encoders": rows})
        return
    width = max(map(len, ENCODERS))
    for name, entry in ENCODERS.items():
        needs = f" (needs crossray[{entry.extra}])" if entry.extra else ""
        typer.echo(f"{name:{width}}  {entry.description}{needs}")
