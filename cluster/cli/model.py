"""`crossray model`: which encoders and rerankers there are, and fetching their checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cluster.cli.connection import JsonOption
from cluster.cli.output import remark, with_examples, write_json

if TYPE_CHECKING:
    from cluster.pull import PullProgress
    from encoders.checkpoints import Checkpoint

PULL_HELP = """Download a checkpoint. No other command does but `up --pull`: serving loads what is on the disk.

What an earlier try left is continued, and every file is checked against the size and SHA-256 that the source lists.
Without --to it goes where serving looks for it, and the profile may name it as it is named here.

**Examples**

    crossray model pull Qwen/Qwen3-VL-Embedding-2B
    crossray model pull Qwen/Qwen3-VL-Embedding-2B --source modelscope --to /models/Qwen3-VL-Embedding-2B"""
LIST_HELP = with_examples(
    "List them, by the names that settings and `crossray eval` take.",
    "crossray model list",
    "crossray model list --json | jq .rerankers",
)


def register(app: typer.Typer) -> None:
    about = with_examples("The models that Crossray can run.", "crossray model list")
    group = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode="markdown")
    group.command("list", help=LIST_HELP)(list_models)
    group.command("pull", help=PULL_HELP)(pull_model)
    app.add_typer(group, name="model", rich_help_panel="This machine")


def list_models(as_json: JsonOption = False) -> None:
    from encoders.registry import ENCODERS, RERANKERS, STRUCTURERS

    tables = {"encoders": ENCODERS, "rerankers": RERANKERS, "structurers": STRUCTURERS}
    if as_json:
        write_json(
            {
                kind: {name: {"extra": entry.extra, "description": entry.description} for name, entry in table.items()}
                for kind, table in tables.items()
            }
        )
        return
    width = max(len(name) for table in tables.values() for name in table)
    for table in tables.values():
        for name, entry in table.items():
            needs = f" (needs crossray[{entry.extra}])" if entry.extra else ""
            typer.echo(f"{name:{width}}  {entry.description}{needs}")


def pull_model(
    model: Annotated[str, typer.Argument(help="Its id, such as Qwen/Qwen3-VL-Embedding-2B.", show_default=False)],
    revision: Annotated[str | None, typer.Option(help="A commit, tag or branch [default: the source's own].")] = None,
    source: Annotated[Literal["hub", "modelscope"], typer.Option(help="The Hugging Face hub, or ModelScope.")] = "hub",
    to: Annotated[Path | None, typer.Option(help="A folder of your choice.", file_okay=False)] = None,
    endpoint: Annotated[
        str | None, typer.Option(envvar="HF_ENDPOINT", help="Another address of the hub: a mirror.", show_envvar=True)
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="HF_TOKEN", help="For checkpoints that need one.", show_default=False)
    ] = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="End at once where it lies already; wait where another process pulls.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    from cluster.model_cache import pull_if_missing
    from cluster.settings import load_settings
    from encoders.checkpoints import MODELSCOPE

    prefixed = source == "modelscope" and not model.startswith(MODELSCOPE)
    name = f"{MODELSCOPE}{model}" if prefixed else model
    models_dir = load_settings().models_dir
    pull = partial(fetch, name, revision, models_dir, to=to, endpoint=endpoint, token=token)
    if if_missing and to is not None:
        raise typer.BadParameter("goes with the folder where serving looks, not with --to", param_hint="--if-missing")
    checkpoint = pull_if_missing(name, revision, models_dir, pull) if if_missing else pull()
    if as_json:
        write_json(
            {"model": checkpoint.model, "revision": checkpoint.revision, "folder": str(checkpoint.folder.resolve())}
        )
        return
    remark(f"pulled {checkpoint.model} at revision {checkpoint.revision}")
    typer.echo(checkpoint.folder.resolve())


def fetch(
    model: str,
    revision: str | None,
    models_dir: Path,
    *,
    to: Path | None = None,
    endpoint: str | None = None,
    token: str | None = None,
) -> Checkpoint:
    """Pulls a checkpoint and shows how far it is. The hub's address and token are those of the environment, unless
    they are given; ModelScope has neither. Raises ModelUnavailable."""
    from cluster.pull import pull
    from encoders.checkpoints import MODELSCOPE

    own: dict[str, str | None] = {}
    if not model.startswith(MODELSCOPE):
        own = {"endpoint": endpoint or os.environ.get("HF_ENDPOINT"), "token": token or os.environ.get("HF_TOKEN")}
    with _byte_bar() as show:
        return pull(model, revision, to, show, models_dir=models_dir, **own)


@contextmanager
def _byte_bar() -> Iterator[Callable[[PullProgress], None]]:
    """A bar in bytes on stderr; where that is no terminal, a line a file."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    said: set[str] = set()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(state: PullProgress) -> None:
            bar.update(task, description=state.file, completed=state.done_bytes, total=state.total_bytes)
            if not console.is_terminal and state.file not in said:
                said.add(state.file)
                remark(f"{state.file}  {state.file_total_bytes / 1e6:,.1f} MB of {state.total_bytes / 1e6:,.1f} MB")

        yield show
