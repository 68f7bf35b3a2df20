"""Paths and methods that must be refused."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bad_inputs.case import BadInput


def route_cases() -> Iterator[BadInput]:
    for method, path, status, param in [
        ("GET", "/nothing/here", 404, "path"),
        ("GET", "/v1/items/nobody", 404, "id"),
        ("DELETE", "/v1/items/nobody", 404, "id"),
        ("GET", "/v1/items/nobody/image", 404, "id"),
        ("GET", "/v1/items/nobody/thumbnail", 404, "id"),
        ("GET", "/v1/items/a%00b", 404, "id"),
        ("GET", "/v1/items/%ED%A0%80", 404, "id"),
        ("GET", "/v1/items/..%2F..%2Fetc%2Fpasswd", 404, "path"),
        ("GET", "/v1/items/" + "a" * 129, 400, "id"),
        ("GET", "/v1/items?limit=0", 400, "limit"),
        ("GET", "/v1/items?limit=many", 400, "limit"),
        ("GET", "/v1/items?after=" + "a" * 129, 400, "after"),
        ("GET", "/v1/search", 405, "method"),
        ("PUT", "/v1/items", 405, "method"),
    ]:
        yield BadInput(f"{method} {path[:40]}", path, method=method, status=status, param=param)
    yield BadInput("lookup: no ids", "/v1/items/lookup", b'{"ids": []}', param="ids", says="at least 1")
    yield BadInput("lookup: a bad id", "/v1/items/lookup", b'{"ids": ["ok", "a b"]}', param="ids[1]", says="pattern")
