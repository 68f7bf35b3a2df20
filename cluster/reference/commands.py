"""The commands, from Typer's own tree."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from cluster.cli import build_app
from cluster.reference.markdown import code, table


def page() -> str:
    root: Any = get_command(build_app())
    parts = "\n\n".join(part for word, command in sorted(root.commands.items()) for part in _command(word, command))
    return f"""# Commands

`crossray COMMAND --help` says the same. Results go to stdout, progress and remarks to stderr. Exit code 1 is an error,
in one line; 2 is misuse, 130 is Ctrl-C.

{parts}
"""


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## crossray {name}"
    yield inspect.cleandoc(command.help or "")
    if rows := [row for parameter in command.params if (row := _row(parameter))]:
        yield table(("option", "default", "what"), rows)
    for word, inner in getattr(command, "commands", {}).items():
        yield from _command(f"{name} {word}", inner)


def _row(parameter: Any) -> tuple[str, str, str] | None:
    if parameter.name == "help":
        return None
    names = [*parameter.opts, *parameter.secondary_opts]
    is_option = parameter.param_type_name == "option"
    shown = ", ".join(f"`{one}`" for one in names) if is_option else f"`{parameter.name.upper()}`"
    if parameter.required:
        default = "required"
    else:
        default = (
            "" if parameter.default in (None, False, ()) or callable(parameter.default) else code(parameter.default)
        )
    return shown, default, parameter.help or ""
