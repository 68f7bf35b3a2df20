"""Who calls, whether that caller may, and how often. It stands before the routes and before a body is read."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope as HttpScope

from deployments.audit import Audit
from deployments.errors import CrossrayError, Forbidden, Unauthorized
from deployments.keys.api_key import ApiKey, id_of
from deployments.keys.caller import Caller
from deployments.keys.rates import UNLIMITED, Rate, RateLimits
from deployments.keys.ring import KeyRing
from deployments.keys.scopes import RouteScopes

HOW = "send it as 'Authorization: Bearer KEY'"


class Guard:
    """Refuses requests by their key. Without keys to ask for, everybody is let in."""

    def __init__(
        self, ring: KeyRing, scopes: RouteScopes, rate: Rate = UNLIMITED, clock: Callable[[], float] = time.time
    ) -> None:
        self._ring = ring
        self._scopes = scopes
        self._limits = RateLimits(rate)
        self._audit = Audit()
        self._clock = clock

    async def admit(self, http: HttpScope, caller: Caller) -> CrossrayError | None:
        """Why an HTTP request is not let in, None where it is; and who it is, into `caller`."""
        if caller.call is not None and caller.call.access == "public":
            return None
        try:
            if not await self._ring.asks_for_keys():
                return None
            caller.key = key = await self._authenticated(Headers(scope=http), caller)
        except CrossrayError as error:
            return error
        # Who holds any key may hear that there is no such route.
        if caller.call is not None and caller.call.access != "public" and not key.allows(caller.call.access):
            return Forbidden(
                f"this takes a key of scope {caller.call.access}, and {key.id} is of scope {key.scope}",
                "Authorization",
                "insufficient_scope",
            )
        return self._limits.take(key)

    def caller(self, http: HttpScope) -> Caller:
        """The call, of somebody who is not known yet."""
        return Caller(self._scopes.call(http["method"], http["path"]))

    def ended(self, http: HttpScope, caller: Caller, status: int) -> None:
        """The call was answered with this status, 0 for not at all: what it cost, and whether it is to be told of."""
        if caller.key is not None:
            self._limits.charge(caller.key, http["state"].get("inputs", 1))
        self._audit.ended(http, caller, status)

    async def _authenticated(self, headers: Headers, caller: Caller) -> ApiKey:
        """The valid key of a request. Raises Unauthorized, Unavailable."""
        text = _presented(headers)
        if text is None:
            raise Unauthorized(f"this server asks for an API key: {HOW}", "Authorization", "api_key_missing")
        return await used_key(self._ring, text, caller, self._clock)


async def used_key(ring: KeyRing, text: str, caller: Caller, clock: Callable[[], float]) -> ApiKey:
    """The valid key that a text is, which is noted as used; one that is ended, into `caller`. Raises Unauthorized,
    Unavailable."""
    id = id_of(text)
    key = None if id is None else await ring.find(id)
    if key is None or not key.fits(text):
        raise Unauthorized("there is no such API key", "Authorization", "api_key_unknown")
    if (state := key.state(clock())) != "valid":
        caller.ended_key = key.id
        raise Unauthorized(f"the API key {key.id} is {state}", "Authorization", f"api_key_{state}")
    ring.note_use(key)
    return key


def _presented(headers: Headers) -> str | None:
    """What the request has for a key: a bearer token (RFC 6750, 2.1), or X-API-Key."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key", "").strip() or None
