"""The command `crossray`. Each module here is one command or a small group, and imports what is heavy when it runs."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from cluster.errors import ClusterError
from cluster.telemetry import switch_off

COMMANDS = (
    "lifecycle",
    "keys",
    "index",
    "jobs",
    "search",
    "match",
    "evaluate",
    "calibrate",
    "transfer",
    "collections",
    "backup",
    "index_tune",
    "doctor",
    "model",
)
"""Modules of this package, in the order `--help` shows them; each exposes `register(app)`."""

HELP = """Find images by text, images by image, and texts by image.

**Start here**

    crossray up --detach
    crossray index ~/Pictures
    crossray search "a dog on a beach" --html found.html
    crossray down

Every command has examples under `--help`, and `--json` for machines."""


def build_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="crossray",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        import_module(f"cluster.cli.{name}").register(app)
    return app


def main() -> None:
    """Run a command. Errors are one line on stderr and exit code 1; misuse is 2, Ctrl-C 130."""
    switch_off()
    try:
        build_app()()
    except ClusterError as error:
        _stop(error)
    except Exception as error:
        if not _is_expected(error):
            raise
        _stop(error)


def _is_expected(error: Exception) -> bool:
    """Whether an error of a package below was raised on purpose, or is the machine's (a full disk, no permission)."""
    from encoders.errors import EncoderError
    from retrieval.errors import RetrievalError

    return isinstance(error, EncoderError | RetrievalError | OSError)


def _stop(error: Exception) -> None:
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stderr.write(f"crossray: {text}\n")
    sys.exit(1)
