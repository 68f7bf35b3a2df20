"""`crossray match`: how well each text describes each image."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cluster.cli.connection import CollectionOption, JsonOption, UrlOption, connect
from cluster.cli.output import results, with_examples, write_json

if TYPE_CHECKING:
    from deployments.schemas.match import MatchAnswer

HELP = with_examples(
    """Compare every text with every image, nothing stored. Each cell is the cosine, and the match probability where
the encoder is calibrated.""",
    'crossray match --text "a cat" --text "a dog" --image one.jpg --image two.jpg',
    "crossray match --text 一只猫 --image one.jpg --json",
)


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="Search")(match)


def match(
    text: Annotated[list[str], typer.Option(help="A text; may be repeated.", show_default=False)],
    image: Annotated[
        list[Path], typer.Option(help="An image file; may be repeated.", exists=True, dir_okay=False, readable=True)
    ],
    collection: CollectionOption = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    with connect(url, collection=collection) as client:
        pictures = [base64.b64encode(path.read_bytes()).decode("ascii") for path in image]
        answer = client.match(text, pictures)
    if as_json:
        write_json({"texts": text, "images": [path.as_posix() for path in image], **answer.model_dump(mode="json")})
    else:
        _show(answer, text, [path.name for path in image])


def _show(answer: MatchAnswer, texts: list[str], images: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in images:
        table.add_column(Text(name), justify="right", overflow="fold")
    for row, text in enumerate(texts):
        table.add_row(Text(text), *(_cell(answer, row, column) for column in range(len(images))))
    results().print(table)


def _cell(answer: MatchAnswer, row: int, column: int) -> str:
    cosine = f"{answer.cosine[row][column]:.3f}"
    if answer.probability is None:
        return cosine
    return f"{cosine} ({answer.probability[row][column]:.0%})"
