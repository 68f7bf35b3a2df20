"""Secrets of the settings tree: left out of what is written down, and read from a Kubernetes Secret instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from cluster.settings import Settings

SECRET_NAME = "crossray"  # noqa: S105 - the name of a Secret, not its content
OF_COMMANDS = frozenset({("api_key",)})
"""What only the command line needs, and no pod is given."""


@dataclass(frozen=True, slots=True)
class SecretField:
    """One secret of the tree, by its path such as `("index", "token")`."""

    path: tuple[str, ...]
    is_set: bool
    """Whether these settings have a value, and so pods must be given one."""

    @property
    def variable(self) -> str:
        return "CROSSRAY_" + "__".join(self.path).upper()

    @property
    def key(self) -> str:
        """Its key in the Kubernetes Secret."""
        return "-".join(self.path).replace("_", "-")


def secret_fields(settings: Settings) -> list[SecretField]:
    """Every field of the tree that holds a secret, set or not."""
    return list(_secrets(settings, ()))


def _secrets(section: BaseModel, path: tuple[str, ...]) -> Iterator[SecretField]:
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _secrets(value, (*path, name))
        elif field.annotation is SecretStr or SecretStr in get_args(field.annotation):
            yield SecretField((*path, name), is_set=value is not None and bool(value.get_secret_value()))


def plain_settings(settings: Settings) -> dict[str, Any]:
    """The tree as YAML can hold it: what differs from the defaults, without secrets."""
    tree: dict[str, Any] = settings.model_dump(mode="json", exclude_defaults=True)
    for field in secret_fields(settings):
        branch: Any = tree
        for name in field.path[:-1]:
            branch = branch.get(name, {})
        branch.pop(field.path[-1], None)
    return tree


def secret_variables(settings: Settings) -> list[dict[str, Any]]:
    """Environment entries of a container, one a secret; those without a value here may be absent from the Secret."""
    return [
        {
            "name": field.variable,
            "valueFrom": {
                "secretKeyRef": {
                    "name": SECRET_NAME,
                    "key": field.key,
                    **({} if field.is_set else {"optional": True}),
                }
            },
        }
        for field in secret_fields(settings)
        if field.path not in OF_COMMANDS
    ]
