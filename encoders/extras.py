"""Lazy imports of what an optional extra brings."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from encoders.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """The imported module, or MissingExtra that says which extra brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or module, extra) from error
