"""What commands take that encode a folder of captioned photos in this process: the folder, the encoder, its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

FolderArgument = Annotated[Path, typer.Argument(help="The folder.", exists=True, file_okay=False, show_default=False)]
EncoderOption = Annotated[
    str | None, typer.Option(help="An encoder of `crossray model list`. Without it, the profile's.")
]
ModelOption = Annotated[
    list[str] | None, typer.Option(help="`key=value`, passed to the encoder; may be repeated.", show_default=False)
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Only the first photos.")]
BatchSizeOption = Annotated[int, typer.Option(min=1, max=4096, help="Inputs in a batch.")]


def parse_options(given: list[str] | None, flag: str) -> dict[str, Any]:
    """`key=value` terms as a model's options. Raises typer.BadParameter naming the flag."""
    from cluster.terms import parse_tags

    bare, options = parse_tags(given or [])
    if bare:
        raise typer.BadParameter(f"{bare[0]!r} is not key=value", param_hint=flag)
    return dict(options)
