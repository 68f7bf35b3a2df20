"""The calls of the API, as its OpenAPI has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cluster.reference.markdown import block, table
from deployments.api import openapi

TAGS = ("search", "items", "embeddings", "rerank", "jobs", "collections", "status")


def page() -> str:
    """Raises KeyError for a call whose tag has no place here."""
    by_tag: dict[str, list[str]] = {tag: [] for tag in TAGS}
    for path, methods in openapi()["paths"].items():
        for method, call in methods.items():
            by_tag[call["tags"][0]].append("\n\n".join(_call(method.upper(), path, call)))
    parts = "\n\n".join(f"## {tag.capitalize()}\n\n" + "\n\n".join(calls) for tag, calls in by_tag.items())
    return f"""# All calls

As `GET /openapi.json` of a server has them, with examples of what is sent and answered. [The API](../api.md) shows them
in use.

{parts}
"""


def _call(method: str, path: str, call: dict[str, Any]) -> Iterator[str]:
    yield f"### `{method} {path}`"
    scopes = [scope for one in call.get("security", []) for names in one.values() for scope in names]
    yield f"{call['summary']}. " + (f"Where keys are asked for: scope `{scopes[0]}`." if scopes else "Needs no key.")
    if parameters := call.get("parameters"):
        rows = [(f"`{one['name']}`", one["in"], _about(one)) for one in parameters]
        yield table(("parameter", "in", "what"), rows)
    for name, example in (
        call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {}).items()
    ):
        yield f"Send, {name}:"
        yield block(example["value"])
    for status, answer in call["responses"].items():
        for mime, content in answer.get("content", {}).items():
            if status == "default":
                continue
            yield f"Answer {status}" + (f", `{mime}`." if "example" not in content else ":")
            if "example" in content:
                yield block(content["example"])


def _about(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    default = "" if "default" not in schema else f"default `{schema['default']}`"
    said = parameter.get("description") or schema.get("description") or ""
    return "; ".join(part for part in (said, "required" if parameter.get("required") else default) if part)
