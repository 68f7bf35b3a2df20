"""The compose files as compose reads them: variables put in, and one file over the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "compose"
BASE, GPU = FOLDER / "compose.yaml", FOLDER / "compose.gpu.yaml"
PASSWORDS = {"MILVUS_PASSWORD": "m1", "POSTGRES_PASSWORD": "p1", "REDIS_PASSWORD": "r1", "GRAFANA_PASSWORD": "g1"}
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:-|:\?)([^}]*))?\})")

Model = dict[str, Any]


class Missing(Exception):
    """A variable without which compose does not start."""


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?required}` and `$$`, as the compose specification says."""

    def value(found: re.Match[str]) -> str:
        dollar, name, kind, word = found.groups()
        if dollar:
            return "$"
        given = variables.get(name, "")
        if kind == ":?" and not given:
            raise Missing(f"{name} {word}")
        return given or (word if kind == ":-" else "")

    return _VARIABLE.sub(value, text)


def load(*files: Path, **variables: str) -> Model:
    """The model of these files, later ones over earlier ones: mappings are merged, all else replaced."""
    model: Model = {}
    for file in files:
        model = _over(model, _substituted(yaml.safe_load(file.read_text(encoding="utf-8")), variables))
    return model


def _substituted(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _substituted(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_substituted(value, variables) for value in node]
    return substitute(node, variables) if isinstance(node, str) else node


def _over(below: Any, above: Any) -> Any:
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _over(below.get(key), value) for key, value in above.items()}
    return above
