"""YAML as people read it in a review: keys in the order given, texts of several lines as blocks, no anchors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

_WIDTH = 120


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """One document."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)


def to_yaml_stream(values: Iterable[Any]) -> str:
    """Documents with separators."""
    return "---\n".join(to_yaml(value) for value in values)
