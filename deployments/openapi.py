"""The OpenAPI of bodies that a route parses itself, so that `/docs` shows them like any other."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deployments.answer_examples import ANSWERS, ERROR
from deployments.examples import examples_of
from deployments.keys.scopes import ROUTE_SCOPES
from deployments.schemas.errors import ErrorAnswer

REF = "#/components/schemas/{model}"
API_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, where the server asks for one. Each call names the smallest scope that may make it.",
}


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


def file_answer(mime: str) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers with a file."""
    return {200: {"content": {mime: {"schema": {"type": "string", "format": "binary"}}}, "description": "The file"}}


def document_bodies(app: FastAPI, *models: type[BaseModel]) -> None:
    """Adds to the app's OpenAPI the models' schemas, where `json_or_form` refers to them, and what calls answer: an
    example of each, and the shape of their errors."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            spec = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, definitions = models_json_schema(
                [*((model, "validation") for model in models), (ErrorAnswer, "validation")], ref_template=REF
            )
            spec.setdefault("components", {}).setdefault("schemas", {}).update(definitions.get("$defs", {}))
            _document_scopes(spec)
            _add_answers(spec)
            app.openapi_schema = spec
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document_scopes(spec: dict[str, Any]) -> None:
    """Adds to each call the scope of key that it takes: OpenAPI 3.1 has a place for it beside the scheme's name."""
    spec["components"]["securitySchemes"] = {"apiKey": API_KEY}
    for path, methods in spec["paths"].items():
        for method, call in methods.items():
            access = ROUTE_SCOPES[method.upper(), path]
            call["security"] = [] if access == "public" else [{"apiKey": [access]}]


def _add_answers(spec: dict[str, Any]) -> None:
    error = {"schema": {"$ref": REF.format(model=ErrorAnswer.__name__)}, "example": ERROR}
    for path, calls in spec["paths"].items():
        for method, call in calls.items():
            for status, example in ANSWERS.get(f"{method.upper()} {path}", {}).items():
                answer = call["responses"].setdefault(str(status), {"description": "Not now"})
                content = answer.setdefault("content", {}).setdefault("application/json", {})
                if "schema" not in content:
                    content["schema"] = call["responses"]["200"]["content"]["application/json"]["schema"]
                content["example"] = example
            # FastAPI's own shape of a body that does not validate, which is not ours.
            call["responses"].pop("422", None)
            call["responses"]["default"] = {"description": "An error", "content": {"application/json": error}}
