"""Which scope each route asks for. A route that is not here is nobody's: the API does not start with one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.routing import BaseRoute, Route, compile_path

from deployments.keys.api_key import Scope

Access: TypeAlias = Scope | Literal["public"]

ROUTE_SCOPES: Mapping[tuple[str, str], Access] = {
    ("GET", "/health/live"): "public",
    ("GET", "/health/ready"): "public",
    ("GET", "/docs"): "public",
    ("GET", "/openapi.json"): "public",
    ("POST", "/v1/search"): "read",
    ("POST", "/v1/embeddings"): "read",
    ("POST", "/v1/match"): "read",
    ("POST", "/v1/rerank"): "read",
    ("POST", "/v2/rerank"): "read",
    ("GET", "/v1/models"): "read",
    ("GET", "/v1/status"): "read",
    ("GET", "/v1/items"): "read",
    ("POST", "/v1/items/lookup"): "read",
    ("GET", "/v1/items/{id}"): "read",
    ("GET", "/v1/items/{id}/image"): "read",
    ("GET", "/v1/items/{id}/thumbnail"): "read",
    ("POST", "/v1/items"): "write",
    ("DELETE", "/v1/items/{id}"): "write",
    ("GET", "/v1/jobs"): "read",
    ("GET", "/v1/jobs/{id}"): "read",
    ("GET", "/v1/jobs/{id}/items"): "read",
    ("POST", "/v1/jobs"): "write",
    ("DELETE", "/v1/jobs/{id}"): "write",
    ("POST", "/v1/jobs/{id}/retry"): "write",
    ("GET", "/v1/collections"): "read",
    ("GET", "/v1/collections/{name}"): "read",
    ("POST", "/v1/collections"): "admin",
    ("DELETE", "/v1/collections/{name}"): "admin",
    ("POST", "/v1/collections/{name}/reindex"): "admin",
    ("POST", "/v1/collections/{name}/versions/{version}/promote"): "admin",
    ("DELETE", "/v1/collections/{name}/versions/{version}"): "admin",
}
"""By method and path. Public routes tell nobody anything of what is stored but how much."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the table knows it. `params` are those of its path."""

    method: str
    route: str
    access: Access
    params: Mapping[str, str]

    @property
    def writes(self) -> bool:
        """Whether it changes what is stored."""
        return self.access in ("write", "admin")


class RouteScopes:
    """The table for the routes that an app has."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """Raises LookupError for a route that has no scope."""
        self._fixed: dict[tuple[str, str], Call] = {}
        self._patterns: list[tuple[str, re.Pattern[str], str, Access]] = []
        for route in routes:
            if not isinstance(route, Route):
                raise LookupError(f"{route!r} is no route with methods, and has no scope")
            for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
                self._declare(method, route.path)

    def _declare(self, method: str, path: str) -> None:
        access = ROUTE_SCOPES.get((method, path))
        if access is None:
            raise LookupError(f"{method} {path} has no scope: give it one in deployments/keys/scopes.py")
        if "{" in path:
            self._patterns.append((method, compile_path(path)[0], path, access))
        else:
            self._fixed[method, path] = Call(method, path, access, {})

    def call(self, method: str, path: str) -> Call | None:
        """None where no route answers."""
        method = "GET" if method == "HEAD" else method
        if (fixed := self._fixed.get((method, path))) is not None:
            return fixed
        for own, pattern, route, access in self._patterns:
            if own == method and (found := pattern.match(path)) is not None:
                return Call(method, route, access, found.groupdict())
        return None

    def declared(self) -> set[tuple[str, str]]:
        """Every method and path that has a scope here."""
        return {*self._fixed, *((method, route) for method, _, route, _ in self._patterns)}
