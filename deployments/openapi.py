"""The OpenAPI of bodies that a route parses itself, so that `/docs` shows them like any other."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deployments.examples import examples_of

REF = "#/components/schemas/{model}"


def json_body(*models: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes one of these models as JSON."""
    refs: list[dict[str, Any]] = [{"$ref": REF.format(model=model.__name__)} for model in models]
    schema = refs[0] if len(refs) == 1 else {"oneOf": refs}
    content = {"schema": schema, "examples": examples_of(*models)}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def json_or_form(*models: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes one of these models as JSON, or a multipart form with an `image` file."""
    form = {
        "type": "object",
        "properties": {"image": {"type": "string", "format": "binary"}},
        "additionalProperties": {"type": "string"},
    }
    documented = json_body(*models)
    documented["requestBody"]["content"]["multipart/form-data"] = {"schema": form}
    return documented


def document_bodies(app: FastAPI, *models: type[BaseModel]) -> None:
    """Adds the models' schemas to the app's OpenAPI, where `json_or_form` refers to them."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            spec = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=REF)
            spec.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
            app.openapi_schema = spec
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
