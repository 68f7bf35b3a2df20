"""What the two clients share: how to reach a server, and what of httpx's errors means what."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import httpx

from crossray_client.attempts import Attempts
from crossray_client.calls import Call
from crossray_client.errors import FINGERPRINT_HEADER, Answered, ClientClosed, NoAnswer
from crossray_client.inputs import ImageSource
from crossray_client.retry import Retry

T = TypeVar("T")
Transport = TypeVar("Transport")
CONNECT_S = 5.0
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Connection(ABC, Generic[Transport]):
    """One server, and how to talk to it."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        fingerprint: str | None = None,
        retry: Retry | None = None,
        timeout_s: float = 120.0,
        connections: int = 32,
        headers: Mapping[str, str] | None = None,
        trust_env: bool = True,
        transport: Transport | None = None,
    ) -> None:
        """`api_key` goes with every request, as a bearer token; redirects are not followed, so it stays with this
        server. `fingerprint` pins the embedding space: a server whose vectors are of another one raises
        FingerprintMismatch. `timeout_s` bounds each wait for bytes. `headers` go with every request. `trust_env` heeds
        the environment's proxies. `transport` replaces the network. Raises ValueError for what is no http(s) URL.
        """
        self.url = _checked(url)
        self.fingerprint = fingerprint
        self._retry = retry or Retry()
        self._open(
            {
                "base_url": self.url,
                "timeout": httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
                "limits": httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
                "headers": dict(headers or {}) | _authorization(api_key),
                "trust_env": trust_env,
                "verify": _tls(trust_env),
                "transport": transport,
            }
        )

    @abstractmethod
    def _open(self, options: dict[str, Any]) -> None:
        """Makes httpx's client with these options."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether this client was closed."""

    def _attempts(self, call: Call[T]) -> Attempts[T]:
        return Attempts(call, self.url, self._retry, self.fingerprint)

    @contextmanager
    def _attempt(self, call: Call[Any]) -> Iterator[dict[str, Any]]:
        """The arguments of one request. The image's file is opened for it and closed after it, so that each attempt
        sends it from its start. Raises NoAnswer for what httpx raises in the block."""
        if self.is_closed:
            raise ClientClosed(self.url, "the client was closed", False)
        try:
            with ExitStack() as files:
                yield self._request(call, files)
        except httpx.RequestError as error:
            if self.is_closed:
                raise ClientClosed(self.url, "the client was closed") from error
            what = f"{call.method} {call.path}"
            late = isinstance(error, httpx.TimeoutException)
            reason = f"{what} took too long" if late else f"{what}: {error or type(error).__name__}"
            raise NoAnswer(self.url, reason, not isinstance(error, NOT_SENT)) from error

    def _request(self, call: Call[Any], files: ExitStack) -> dict[str, Any]:
        request: dict[str, Any] = {"method": call.method, "url": call.path, "params": dict(call.params)}
        if call.pinned and self.fingerprint is not None:
            request["headers"] = {FINGERPRINT_HEADER: self.fingerprint}
        if call.image is not None:
            image = call.image
            request["files"] = {"image": ("image", self._opened(image, files), "application/octet-stream")}
            request["data"] = dict(call.fields)
        elif call.uploads:
            request["files"] = [
                (name, (_name(one, at), self._opened(one, files), "application/octet-stream"))
                for at, (name, one) in enumerate(call.uploads)
            ]
            request["data"] = dict(call.fields)
        elif call.json is not None:
            request["json"] = call.json
        return request

    @staticmethod
    def _opened(source: ImageSource, files: ExitStack) -> bytes | IO[bytes]:
        return source if isinstance(source, bytes) else files.enter_context(Path(source).open("rb"))


def _name(source: ImageSource, at: int) -> str:
    """What the server is told an upload is called."""
    return f"files[{at}]" if isinstance(source, bytes) else Path(source).name


def _authorization(api_key: str | None) -> dict[str, str]:
    """Raises ValueError for a key that no header can hold, without repeating it."""
    if api_key is None:
        return {}
    if not api_key.isascii() or not api_key.isprintable() or not api_key.strip():
        raise ValueError("the API key has characters that no key has, such as a line's end")
    return {"Authorization": f"Bearer {api_key}"}


@cache
def _tls(trust_env: bool) -> ssl.SSLContext:
    """httpx's own, once: reading the certificates is nearly all that making a client costs."""
    return httpx.create_ssl_context(trust_env=trust_env)


def answered(response: httpx.Response) -> Answered:
    return Answered(response.status_code, {**response.headers}, response.content)


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not a URL of http or https")
    return url.rstrip("/")
