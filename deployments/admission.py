"""From where requests are let in at all. On loopback no key guards the API, so that a web page which somebody has open
beside it must not be able to use that person's browser as a way to it.

Such a page has three ways, and each is closed by something that a browser says of itself and a page cannot change:

* it has a name of its own answered with this machine's address (DNS rebinding): the `Host` is then that name;
* it sends a form or a script's request: a browser then names the page's `Origin` (Fetch standard, 3.2);
* it sends JSON as what a form may send without being asked (`text/plain`, a form's encoding, or no type at all).

Programs send no `Origin`; of them only the declared type of a body is asked, and `curl -d`, which declares a form's, is
taken for JSON.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from deployments.errors import CrossrayError, Forbidden, UnsupportedMediaType

CURL_DEFAULT = "application/x-www-form-urlencoded"


class Admission:
    """Refuses requests by their headers."""

    def __init__(self, allowed_hosts: Collection[str] | None = None, allowed_origins: Collection[str] = ()) -> None:
        """`allowed_hosts` are the names, without ports, that a request may ask for; None for any. `allowed_origins` are
        those of other sites whose pages may call."""
        self._hosts = None if allowed_hosts is None else frozenset(map(str.lower, allowed_hosts))
        self._origins = frozenset(allowed_origins)

    def refusal(self, scope: Scope) -> CrossrayError | None:
        """Why an HTTP request is not let in; None where it is."""
        headers = Headers(scope=scope)
        return self.refusal_of_caller(headers) or (_refusal_of_body(headers) if scope["method"] == "POST" else None)

    def refusal_of_caller(self, headers: Headers) -> CrossrayError | None:
        """The same, whatever the body is declared to be."""
        host = headers.get("host", "").lower()
        if self._hosts is not None and _name(host) not in self._hosts:
            allowed = ", ".join(sorted(self._hosts))
            return Forbidden(
                f"not served as {host[:80]!r}, only as {allowed}: add the name to http.allowed_hosts",
                "Host",
                "host_not_allowed",
            )
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and _place(origin) != host:
            return Forbidden(f"pages of {origin[:80]!r} may not call this server", "Origin", "origin_not_allowed")
        return None


def _refusal_of_body(headers: Headers) -> CrossrayError | None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/json", "multipart/form-data"):
        return None
    if kind == CURL_DEFAULT and "origin" not in headers and "sec-fetch-site" not in headers:
        return None
    given = f"not {kind[:80]}" if kind else "which is missing"
    return UnsupportedMediaType(f"send JSON with 'Content-Type: application/json', {given}", "Content-Type")


def _place(origin: str) -> str | None:
    """The host and port of an `Origin`; None for one that is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _name(host: str) -> str:
    """A `Host` without its port and an IPv6 address's brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].removesuffix(".")
