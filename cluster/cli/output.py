"""How commands speak: results on stdout, progress and remarks on stderr, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int], None]
PIPE_COLUMNS = 200


def results() -> Console:
    """Where answers for people go. In a pipe or a file lines are long rather than folded."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)


def remark(text: str) -> None:
    """A line on stderr, so that stdout holds nothing but the answer."""
    sys.stderr.write(f"{text}\n")


def write_json(answer: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")


def with_examples(text: str, *commands: str) -> str:
    """A command's help. Fenced: Typer dedents what follows the first paragraph, and would take an indented block for
    prose."""
    return "\n".join([text, "", "**Examples**", "", "```", *commands, "```"])


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Advance]:
    """A bar with count, rate and time left on stderr; silent where stderr is not a terminal.

    Yields a function that takes how many items are done since its last call.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=total, rate="")

        def advance(count: int) -> None:
            bar.advance(task, count)
            speed = bar.tasks[task].speed
            bar.update(task, rate=f"{speed:,.0f}/s" if speed else "")

        yield advance
