"""`crossray index-tune`: which index type, with which settings, for a recall target, measured on the real vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.connection import JsonOption, ProfileOption
from cluster.cli.output import progress, results, write_json

if TYPE_CHECKING:
    from cluster.index_tuning import Tuning

HELP = """Measure the types of the embedded index on a collection's own vectors, and say which to take.

Holds some vectors out as queries, builds each type over the others, and finds the lowest target_recall at which it
finds enough of the 10 nearest. Reads the data folder's index while no server runs, another index folder, or a file of
`crossray export`. Changes nothing.

**Examples**

    crossray down && crossray index-tune
    crossray index-tune --recall 0.98 --type ivf-sq8 --type hnsw
    crossray export --no-media v.parquet && crossray index-tune v.parquet --json"""


def register(app: typer.Typer) -> None:
    app.command("index-tune", help=HELP, rich_help_panel="Quality and data")(index_tune)


def index_tune(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="An export, or an index folder; without it the data folder's.", show_default=False, exists=True
        ),
    ] = None,
    recall: Annotated[float, typer.Option(min=0.5, max=1.0, help="Share of the 10 nearest that must be found.")] = 0.95,
    type: Annotated[
        list[str] | None,
        typer.Option(help="Only these: flat, ivf-flat, ivf-sq8, hnsw. May be repeated.", show_default=False),
    ] = None,
    queries: Annotated[int, typer.Option(min=20, max=10_000, help="Vectors held out as queries.")] = 200,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.index_tuning import TYPES, built_types, load_rows, only_index_below, tune_index
    from cluster.settings import load_settings

    types = TYPES if type is None else tuple(known for known in TYPES if known in type)
    if type is not None and (unknown := set(type) - set(TYPES)):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not one of {', '.join(TYPES)}", param_hint="--type")
    settings = load_settings(profile)
    folder = source or only_index_below(settings.data_dir / "embedded")
    with progress("Reading", None) as advance:
        rows = load_rows(folder, advance)
    with progress("Building", len(rows) * len(list(built_types(types)))) as advance:
        tuning = tune_index(
            rows, recall, types=types, queries=queries, options=settings.index.embedded_options, advance=advance
        )
    if as_json:
        write_json(tuning.to_json())
    else:
        _show(tuning)
    if tuning.recommended is None:
        raise typer.Exit(1)


def _show(tuning: Tuning) -> None:
    from rich.table import Table

    from cluster.index_tuning import settings_for

    table = Table("type", "searches by", "recall", "between", "p50 ms", "p99 ms", "build s", "MiB more")
    for one in tuning.measured:
        style = "bold green" if one is tuning.recommended else None
        figures = (one.recall, one.recall_between, one.p50_ms, one.p99_ms, one.build_s, one.memory_mib)
        table.add_row(one.type, one.detail, *map(str, figures), style=style)
    console = results()
    console.print(
        f"{tuning.rows} vectors of {tuning.dim}; {tuning.queries} held out as queries, one at a time, 10 hits"
    )
    console.print(table)
    chosen = tuning.recommended
    if chosen is None:
        console.print(f"[red]None finds {tuning.wanted_recall:.0%}[/]: let --type flat take part, which finds all.")
        return
    console.print(f"Take [bold]{chosen.type}[/]. For the server's next start, which builds it beside exact search:")
    for name, value in settings_for(chosen, tuning.rows).items():
        console.print(f"    export {name}={value}")
    console.print("or put the same under `index:` in a profile. While it runs, the type alone is changed by")
    console.print(f"    crossray reindex --index-type {chosen.type}")
