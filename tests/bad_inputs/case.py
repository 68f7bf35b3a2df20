"""A request that must be refused, and the check that it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JSON = {"content-type": "application/json"}
NESTED = 100_000
DIM = 64
"""Columns of the fake encoder."""


@dataclass(frozen=True)
class BadInput:
    """A request, and the answer it must get. `param` is the field at fault; `says` is in the message."""

    name: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    status: int = 400
    param: str | None = "body"
    says: str = ""
    method: str = "POST"
    chunked: bool = False


def with_fingerprint(case: BadInput, fingerprint: str) -> bytes:
    """The case's body under the fingerprint of what runs."""
    return case.body.replace(b"FINGERPRINT", fingerprint.encode())


def check_refusal(case: BadInput, fingerprint: str, status: int, content: Any) -> None:
    """Asserts that an answer is the one the table asks for."""
    assert status == case.status, f"{case.name}: {status} {content}"
    error = content["error"]
    assert error["param"] == case.param, f"{case.name}: {error}"
    assert error["code"], case.name
    assert error["message"], case.name
    assert len(error["message"]) < 600, f"{case.name}: the message is not for people"
    assert case.says.replace("FINGERPRINT", fingerprint) in error["message"], f"{case.name}: {error['message']}"
