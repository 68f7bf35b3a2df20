"""Which URLs may be asked. Strict rather than clever: what two parsers could read differently is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

from encoders.errors import InputError

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
_PRINTABLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
_PORTS = {"http": 80, "https": 443}
ANY_HOST = "*"


def refused(reason: str) -> InputError:
    """The error of a URL that is not fetched."""
    return InputError(f"the URL is refused: {reason}", "url_refused", "url")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked. `host` is a name in lower case, never an address."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.target}"


def check_url(url: str, hosts: Sequence[str], ports: Sequence[int]) -> Target:
    """The URL in its parts. `hosts` are names, `*.name` for all below a name, or `*` for any. Raises InputError."""
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise refused("it has a space, a backslash, or a character that is not ASCII")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise refused("it does not parse")
    scheme = parts["scheme"].lower()
    if scheme not in _PORTS:
        raise refused(f"its scheme is {scheme[:20]}, not http or https")
    host, port = _host_and_port(parts["authority"], _PORTS[scheme])
    if not any(_matches(host, pattern) for pattern in hosts):
        raise refused(f"{host} is not one of jobs.urls.hosts")
    if port not in ports:
        raise refused(f"port {port} is not one of jobs.urls.ports")
    return Target(scheme, host, port, (parts["path"] or "/") + (parts["query"] or ""))


def redirected(target: Target, location: str) -> str:
    """Where a redirect leads. Raises InputError where it leaves TLS."""
    url = urljoin(target.url, location)
    if target.scheme == "https" and not url.lower().startswith("https:"):
        raise refused("it redirects from https to something else")
    return url


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    if "@" in authority:
        raise refused("it carries a user name or a password")
    if "[" in authority or authority.count(":") > 1:
        raise refused("its host is an IPv6 address; hosts are named")
    name, colon, digits = authority.lower().partition(":")
    # A name that ends in a dot is the same name, and would pass by a list that has it without.
    name = name.removesuffix(".")
    if not _NAME.fullmatch(name):
        raise refused("its host is not a name")
    # WHATWG's URL Standard, "ends in a number": what inet_aton(3) may read as an address in decimal, octal or hex.
    last = name.rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        raise refused("its host is an address, in whatever notation; hosts are named")
    if colon and (not digits.isdigit() or len(digits) > 5):
        raise refused("its port is no number")
    return name, int(digits) if digits else default


def _matches(host: str, pattern: str) -> bool:
    pattern = pattern.lower().removesuffix(".")
    return pattern in (ANY_HOST, host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
