"""Asks for a URL. No proxies and no credentials of the environment, no cookies, no redirects that were not checked, no
content codings: what arrives is what is counted."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from deployments.errors import DeadlineExceeded, Unavailable
from deployments.fetching.addresses import why_not_public
from deployments.fetching.urls import Target, check_url, redirected, refused
from encoders.errors import InputError

Resolve = Callable[[str], Awaitable[list[str]]]
"""All addresses of a name. Raises OSError."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEADERS = [(b"User-Agent", b"crossray"), (b"Accept", b"image/*"), (b"Accept-Encoding", b"identity")]


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What may be asked, and what a fetch may cost. `timeout_s` is for all of it, redirects too."""

    hosts: tuple[str, ...]
    ports: tuple[int, ...] = (80, 443)
    max_bytes: int = 20 << 20
    timeout_s: float = 20.0
    max_redirects: int = 3


async def resolve(host: str) -> list[str]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Fetcher:
    """Fetches within limits."""

    def __init__(
        self,
        limits: FetchLimits,
        *,
        resolve: Resolve = resolve,
        why_refused: Callable[[str], str | None] = why_not_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`resolve`, `why_refused` (of an address) and `tls` are there to be replaced by tests: of a server on
        loopback, say."""
        self._limits = limits
        self._network = _CheckedNetwork(resolve, why_refused)
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    async def __call__(self, url: str) -> bytes:
        """The content. Raises InputError (code `url_refused` or `url_status`) where another attempt would not help,
        Unavailable and DeadlineExceeded where it may."""
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._fetch(url)
        except TimeoutError as error:
            raise DeadlineExceeded(f"the URL's content was not whole within {self._limits.timeout_s:g} s") from error

    async def _fetch(self, url: str) -> bytes:
        for _ in range(self._limits.max_redirects + 1):
            target = check_url(url, self._limits.hosts, self._limits.ports)
            answer = await self._ask(target)
            if isinstance(answer, bytes):
                return answer
            url = redirected(target, answer)
        raise refused(f"it redirects more than {self._limits.max_redirects} times")

    async def _ask(self, target: Target) -> bytes | str:
        """The content, or where it is said to be."""
        # In its parts: parsed from a string it would lose what follows a semicolon.
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.target)
        try:
            # A pool of its own: what is asked here must not go over a connection that was opened for another.
            async with (
                httpcore.AsyncConnectionPool(self._tls, network_backend=self._network) as pool,
                pool.stream("GET", url, headers=[(b"Host", _host_of(target)), *_HEADERS]) as response,
            ):
                return await self._read(response)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(error):
                raise refused("its certificate does not verify") from error
            raise Unavailable(f"the URL's server does not answer: {error or type(error).__name__}") from error

    async def _read(self, response: httpcore.Response) -> bytes | str:
        headers = {name.lower(): value for name, value in response.headers}
        if response.status in _REDIRECTS:
            return headers.get(b"location", b"").decode("latin-1")
        if response.status in _PASSING:
            raise Unavailable(f"the URL's server answered with status {response.status}")
        if response.status != 200:
            raise InputError(f"the URL's server answered with status {response.status}", "url_status", "url")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise refused("its content is compressed, which was not asked for")
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._limits.max_bytes:
            raise self._too_large()
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) > self._limits.max_bytes:
                raise self._too_large()
        return bytes(content)

    def _too_large(self) -> InputError:
        return refused(f"its content is over the limit of {self._limits.max_bytes} bytes")


def _host_of(target: Target) -> bytes:
    usual = {"http": 80, "https": 443}[target.scheme]
    return (target.host if target.port == usual else f"{target.host}:{target.port}").encode()


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to names: resolves, checks every address, and connects to one of those that it checked.

    There is no second look-up between check and connection that could answer otherwise (DNS rebinding). TLS above it
    still verifies the name, for only the connection knows of the address.
    """

    def __init__(self, resolve: Resolve, why_refused: Callable[[str], str | None]) -> None:
        self._resolve = resolve
        self._why_refused = why_refused
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = list(dict.fromkeys(await self._resolve(host)))
        except OSError as error:
            raise httpcore.ConnectError(f"{host} does not resolve") from error
        for address in addresses:
            if reason := self._why_refused(address):
                raise refused(f"{host} stands for {address}, which is {reason}")
        last: Exception | None = None
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise httpcore.ConnectError(f"none of the {len(addresses)} addresses of {host} answers") from last

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
