"""Who calls what."""

from __future__ import annotations

from dataclasses import dataclass

from deployments.keys.api_key import ApiKey
from deployments.keys.scopes import Call


@dataclass(slots=True)
class Caller:
    """What the guard found out about a request, up to where it was refused."""

    call: Call | None
    key: ApiKey | None = None
    ended_key: str | None = None
    """The id of a key that the request had, and that is revoked or expired."""

    @property
    def key_id(self) -> str | None:
        """Of the key that the request had, good or not; None where nobody made it."""
        return self.ended_key if self.key is None else self.key.id
