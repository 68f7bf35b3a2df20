"""The tree of settings, with types, defaults and variables."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

from cluster.reference.markdown import code, table
from cluster.settings import Settings, profile_names

IN_HOME = {
    "data_dir": "`$XDG_DATA_HOME/crossray`, else `~/.local/share/crossray`",
    "cache_dir": "`$XDG_CACHE_HOME/crossray`, else `~/.cache/crossray`",
}
BOUNDS = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))


def page() -> str:
    profiles = ", ".join(f"`{name}`" for name in profile_names())
    return f"""# Settings

One typed tree. A profile sets it ({profiles}, or a YAML file of your own, by `--profile`), the environment stands above
the profile, and a command's options above both. In the environment two underscores go one level down, and lists and
objects are JSON: `http.port` is `CROSSRAY_HTTP__PORT=9000`, `jobs.folders` is
`CROSSRAY_JOBS__FOLDERS='["/srv/photos"]'`. Secrets belong into the environment; they show in no log. An unknown name
is an error.

{"".join(_sections("", Settings.model_construct()))}"""


def _sections(path: str, section: BaseModel) -> Iterator[str]:
    kind = type(section)
    schema = kind.model_json_schema()
    values = {name: getattr(section, name) for name in kind.model_fields}
    branches = {name: value for name, value in values.items() if isinstance(value, BaseModel)}
    yield f"## {f'`{path}`' if path else 'The root'}\n\n{inspect.cleandoc(kind.__doc__ or '')}\n\n"
    leaves = [
        (f"`{path}.{name}`" if path else f"`{name}`", *_told(name, value, schema["properties"][name]))
        for name, value in values.items()
        if name not in branches
    ]
    if leaves:
        yield table(("setting", "type", "default", "what"), leaves) + "\n\n"
    for name, branch in branches.items():
        yield from _sections(f"{path}.{name}" if path else name, branch)


def _told(name: str, value: Any, field: dict[str, Any]) -> tuple[str, str, str]:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    default = IN_HOME.get(name) or code(list(value) if isinstance(value, tuple | frozenset) else value)
    return _type(field), default, field.get("description", "")


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(code(one) for one in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    name = {"password": "secret", "path": "path"}.get(field.get("format", ""), field.get("type", "any"))
    return " ".join([name, ", ".join(f"{sign} {field[key]}" for key, sign in BOUNDS if key in field)]).strip()
