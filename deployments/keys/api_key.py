"""An API key: `crossray_ID_SECRET`. What is kept of it is the SHA-256 digest, which does not lead back to it.

The secret is 256 random bits, so nobody can try all of them, and a fast digest is as safe as a slow one. Slow hashes
(scrypt, Argon2) are for passwords that people choose, of which a thief of the digests can try the likely ones; here
one would cost each request its tens of milliseconds, and let anybody burn them. For the same reason no salt is needed:
no two keys are alike.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Scope: TypeAlias = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each includes those before it."""

PREFIX = "crossray"
"""By which scanners of repositories and logs know a key that leaked."""
_ALPHABET = string.ascii_letters + string.digits
_SECRET_CHARS = 43
"""43 of 62 characters: 256 bits."""
_ID_BYTES = 6
ID = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")
_KEY = re.compile(rf"{PREFIX}_({ID.pattern})_([A-Za-z0-9]{{{_SECRET_CHARS}}})")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key. Times are seconds since the epoch."""

    id: str
    scope: Scope
    digest: str
    name: str = ""
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    """To within USED_GRAIN_S of `deployments.keys.store`."""
    rate_per_s: float | None = None
    """None for the rate that the settings give to all keys."""

    def allows(self, scope: Scope) -> bool:
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def fits(self, text: str) -> bool:
        """Whether `text` is this key, in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(self.digest, digest_of(text))

    def state(self, now: float) -> Literal["valid", "expired", "revoked"]:
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def entry(self) -> str:
        """The key as one entry of the setting `auth.static_keys`: see `parse_entries`."""
        expires = "" if self.expires_at is None else f":{self.expires_at:.0f}"
        return f"{self.id}:{self.scope}:{self.digest}{expires}"


def generate() -> tuple[str, str]:
    """A new key's id, and its text, which is to be shown once and kept nowhere."""
    id = secrets.token_hex(_ID_BYTES)
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_CHARS))
    return id, f"{PREFIX}_{id}_{secret}"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def id_of(text: str) -> str | None:
    """The id in the text of a key; None where it has not a key's form."""
    found = _KEY.fullmatch(text)
    return None if found is None else found[1]


def parse_entries(text: str) -> tuple[ApiKey, ...]:
    """Keys from `ID:SCOPE:DIGEST` or `ID:SCOPE:DIGEST:EXPIRES` (seconds since the epoch), between spaces or commas.

    Raises ValueError, which names the entry by its place and repeats nothing of it.
    """
    keys: dict[str, ApiKey] = {}
    for number, entry in enumerate(text.replace(",", " ").split(), start=1):
        id, _, rest = entry.partition(":")
        scope, _, rest = rest.partition(":")
        digest, _, expires = rest.partition(":")
        if not ID.fullmatch(id) or scope not in SCOPES or not _DIGEST.fullmatch(digest):
            raise ValueError(f"entry {number} is not ID:SCOPE:DIGEST as `crossray keys create --for-secret` prints it")
        if expires and not (expires.isascii() and expires.isdigit()):
            raise ValueError(f"entry {number}: its end is to be in seconds since the epoch")
        if id in keys:
            raise ValueError(f"entry {number} has the id of one before it")
        keys[id] = ApiKey(id, scope, digest, name="static", expires_at=float(expires) if expires else None)
    return tuple(keys.values())
