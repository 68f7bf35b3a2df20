"""`python -m cluster.demo`: two short-lived clusters on loopback, a dozen questions, a contact sheet."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from cluster.client import Client
from cluster.contact_sheet import SheetSection, render_sheet
from cluster.demo.photos import bundled_photos
from cluster.demo.process import running_cluster
from cluster.demo.questions import MILVUS_PHOTOS, ON_LOCAL, ON_MILVUS, RIGHT_WITHIN, Photos, Question, words
from cluster.demo.session import Asked, ask, index, index_folder, section
from cluster.demo.texts import demo_texts
from cluster.errors import ClusterError
from cluster.files import write_text
from cluster.indexing.report import IndexReport
from cluster.indexing.sources import find_sources

SHOWN_HITS = 3
SHOWN_MS = 0.1
SHEET = "contact-sheet.html"
NEXT = """
[bold]Try next[/]
  make up                                   the same cluster, left running, with its data kept
  .venv/bin/crossray index ~/Pictures       your photos, or any folder
  .venv/bin/crossray search "a red boat" --html found.html
  .venv/bin/crossray --help                 everything else;  make down  stops it
"""


def main() -> int:
    """0 when every question with a known answer has it among the first three, else 1; 130 after Ctrl-C."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, _stop)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        return _run(console, arguments)
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except ClusterError as error:
        console.print(f"[red]the demo failed:[/] {escape(str(error))}")
        return 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cluster.demo", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".data/demo"), help="where the demo's own data goes")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where the contact sheet goes")
    parser.add_argument(
        "--photos", type=Path, default=os.environ.get("PHOTOS") or None, help="a folder of yours to index too"
    )
    return parser.parse_args()


def _stop(*_: object) -> NoReturn:
    """SIGTERM ends the demo the way Ctrl-C does: what it started is stopped first."""
    raise KeyboardInterrupt


def _run(console: Console, arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    photos = bundled_photos()
    own: Path | None = arguments.photos
    sections: list[SheetSection] = []
    console.rule("[bold]Crossray: one cluster, everything embedded")
    with running_cluster("local", arguments.data_dir / "crossray-demo-local") as client:
        _show_indexed(console, index(client, photos, demo_texts()))
        if own is not None:
            _show_indexed(console, index_folder(client, find_sources([own]).shards, {"set": "yours"}))
        asked = _ask_all(console, client, ON_LOCAL, photos, sections, only_demo=own is not None)
        if own is not None:
            _ask_all(console, client, _open_questions(), photos, sections, only_demo=False)
    console.rule("[bold]The same API, the index in Milvus Lite")
    few = {name: photos[name] for name in MILVUS_PHOTOS}
    with running_cluster("milvus", arguments.data_dir / "crossray-demo-milvus") as client:
        _show_indexed(console, index(client, few, []))
        asked += _ask_all(console, client, ON_MILVUS, few, sections, only_demo=False)
    sheet: Path = arguments.out / SHEET
    write_text(sheet, render_sheet("Crossray demo", f"{len(sections)} questions over HTTP", sections))
    return _conclude(console, asked, sheet, time.monotonic() - started)


def _open_questions() -> Sequence[Question]:
    """Questions without a known answer, for photos that nobody knows."""
    return [
        words("among your photos too", "people having a good time"),
        words("among your photos too", "户外的风景"),
    ]


def _ask_all(
    console: Console,
    client: Client,
    questions: Sequence[Question],
    photos: Photos,
    sections: list[SheetSection],
    *,
    only_demo: bool,
) -> list[Asked]:
    answers = []
    for question in questions:
        asked = ask(client, question, photos, only_demo=only_demo)
        _show(console, asked)
        sections.append(section(client, asked, photos))
        answers.append(asked)
    return answers


def _show_indexed(console: Console, report: IndexReport) -> None:
    console.print(f"{report.indexed} items indexed in {report.seconds:.1f} s ({report.per_second:.1f}/s)")
    for failure in report.failed:
        console.print(f"  not indexed: {escape(failure.source)}: {escape(failure.reason)}")


def _show(console: Console, asked: Asked) -> None:
    mark = "" if not asked.question.right else "[green]✓[/] " if asked.passed else "[red]✗[/] "
    console.print(f"\n{mark}[bold]{escape(asked.question.title)}[/]  [dim]{escape(asked.question.kind)}[/]")
    for rank, hit in enumerate(asked.answer.hits[:SHOWN_HITS], 1):
        text = f"  {escape(hit.text)}" if hit.text else ""
        console.print(f"   {rank}. {hit.score:6.3f}  {escape(hit.source)}{text}", overflow="ellipsis", no_wrap=True)
    stages = "  ".join(f"{name} {ms:.1f}" for name, ms in asked.answer.timings_ms.items() if ms >= SHOWN_MS)
    console.print(f"   [dim]ms: {escape(stages)}[/]")


def _conclude(console: Console, asked: Sequence[Asked], sheet: Path, seconds: float) -> int:
    console.rule()
    wrong = [one for one in asked if not one.passed]
    console.print(
        f"{len(asked) - len(wrong)} of {len(asked)} questions have a right answer among the first {RIGHT_WITHIN}; "
        f"{seconds:.0f} s in all; the clusters are stopped"
    )
    console.print(f"contact sheet: [bold]{escape(str(sheet))}[/] (open it in a browser)")
    for one in wrong:
        console.print(f"[red]✗[/] {escape(one.question.title)}: expected {', '.join(sorted(one.question.right))}")
    if not wrong:
        console.print(NEXT)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
