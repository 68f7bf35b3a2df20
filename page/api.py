"""The calls of the public HTTP API that the page makes, and the one exception they raise."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import httpx

ATTEMPTS = 6
FIRST_WAIT_S = 0.5
PASSES_BY_ITSELF = frozenset({429, 503})
"""Statuses after which the same call may succeed: a full queue, a part of the cluster that is coming back."""
Json = dict[str, Any]
Role = Literal["query", "document"]


class ApiFault(Exception):
    """A call that failed. `status` is 0 where nothing answered; `message` is for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class Api:
    """One server, for one event loop. `transport` replaces the network in tests."""

    def __init__(self, url: str, *, timeout_s: float = 75.0, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=url, timeout=httpx.Timeout(timeout_s, connect=5.0), transport=transport, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def search(self, fields: Mapping[str, Any], image: bytes | None = None) -> Json:
        """`POST /v1/search`; an image goes as a file, so that its bytes are not inflated. Raises ApiFault."""
        if image is None:
            return await self._call("POST", "/v1/search", json=dict(fields))
        return await self._call("POST", "/v1/search", data=dict(fields), files={"image": image})

    async def store(self, image: bytes, source: str, tags: Sequence[str] = ()) -> Json:
        """Stores a photo; the same content has the same id, so what passes by itself is tried again. Raises ApiFault.

        The answer's `created` is false where it was there already.
        """
        fields = {"source": source, "tags": list(tags)}
        for attempt in range(ATTEMPTS):
            try:
                return await self._call("POST", "/v1/items", data=fields, files={"image": image})
            except ApiFault as fault:
                if fault.status not in PASSES_BY_ITSELF or attempt == ATTEMPTS - 1:
                    raise
            await asyncio.sleep(FIRST_WAIT_S * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def items(self, after: str, limit: int) -> Json:
        """A page of what is stored, by id. Raises ApiFault."""
        return await self._call("GET", "/v1/items", params={"after": after, "limit": limit})

    async def delete(self, id: str) -> None:
        """Raises ApiFault, also when there is no such item."""
        await self._call("DELETE", f"/v1/items/{quote(id, safe='')}")

    async def embed(self, content: Mapping[str, Any], role: Role) -> Json:
        """The embedding of one input, and what made it: `{"embedding": base64, "fingerprint", "model"}`."""
        body = {"input": [dict(content)], "input_type": role, "encoding_format": "base64"}
        response = await self._send("POST", "/v1/embeddings", json=body)
        answer = response.json()
        fingerprint = response.headers.get("x-crossray-fingerprint", "")
        return {"embedding": answer["data"][0]["embedding"], "model": answer["model"], "fingerprint": fingerprint}

    async def match(self, texts: Sequence[str], images: Sequence[bytes]) -> Json:
        """Every text against every image. Raises ApiFault."""
        body = {"texts": list(texts), "images": [as_base64(image) for image in images]}
        return await self._call("POST", "/v1/match", json=body)

    async def models(self) -> list[Json]:
        models: list[Json] = (await self._call("GET", "/v1/models"))["data"]
        return models

    async def health(self) -> Json:
        """What `/health/ready` says, ready or not. Raises ApiFault when nothing answers."""
        response = await self._attempt("GET", "/health/ready")
        return _json(response)

    async def _call(self, method: str, path: str, **options: Any) -> Json:
        return _json(await self._send(method, path, **options))

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = await self._attempt(method, path, **options)
        if response.is_success:
            return response
        error = _json(response).get("error", {})
        code, message = error.get("code", "http_error"), error.get("message", response.reason_phrase)
        raise ApiFault(response.status_code, str(code), str(message))

    async def _attempt(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise ApiFault(0, "timeout", f"{method} {path} took too long") from error
        except httpx.TransportError as error:
            raise ApiFault(0, "unreachable", str(error) or type(error).__name__) from error


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(response: httpx.Response) -> Json:
    try:
        content = response.json()
    except ValueError as error:
        message = f"{response.request.url.path} answered {response.status_code} with something other than JSON"
        raise ApiFault(response.status_code, "http_error", message) from error
    return content if isinstance(content, dict) else {}
