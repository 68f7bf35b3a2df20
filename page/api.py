"""The calls of the public HTTP API that the page makes, and the one exception they raise."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx

ATTEMPTS = 6
FIRST_WAIT_S = 0.5
PASSES_BY_ITSELF = frozenset({429, 503})
"""Statuses after which the same call may succeed: a full queue, a part of the cluster that is coming back."""
DEFAULT = "default"
"""The collection that is always there."""
Json = dict[str, Any]
Role = Literal["query", "document"]


class ApiFault(Exception):
    """A call that failed. `status` is 0 where nothing answered; `message` is for people."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(status, code, message, param)
        self.status = status
        self.code = code
        self.message = message
        self.param = param

    @property
    def is_off(self) -> bool:
        """The server has no such call, under its settings."""
        return self.status == 404 and self.param == "path"

    def __str__(self) -> str:
        return self.message


class Api:
    """One server, for one event loop."""

    def __init__(
        self,
        url: str,
        *,
        caller: Callable[[], Mapping[str, str]] = dict,
        timeout_s: float = 75.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`caller` is asked at each call for the headers of whom it is made for. `transport` replaces the network in
        tests."""
        self._caller = caller
        self._http = httpx.AsyncClient(
            base_url=url, timeout=httpx.Timeout(timeout_s, connect=5.0), transport=transport, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def search(self, fields: Mapping[str, Any], image: bytes | None = None) -> Json:
        """`POST /v1/search`; an image goes as a file, so that its bytes are not inflated. Raises ApiFault."""
        if image is None:
            return await self._call("POST", "/v1/search", json=dict(fields))
        return await self._call("POST", "/v1/search", data=_form(fields), files={"image": image})

    async def store(self, image: bytes, source: str, tags: Sequence[str] = (), collection: str = DEFAULT) -> Json:
        """Stores a photo; the same content has the same id, so what passes by itself is tried again. Raises ApiFault.

        The answer's `created` is false where it was there already.
        """
        fields = {"source": source, "tags": list(tags), "collection": collection}
        for attempt in range(ATTEMPTS):
            try:
                return await self._call("POST", "/v1/items", data=fields, files={"image": image})
            except ApiFault as fault:
                if fault.status not in PASSES_BY_ITSELF or attempt == ATTEMPTS - 1:
                    raise
            await asyncio.sleep(FIRST_WAIT_S * 2**attempt)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def items(self, after: str, limit: int, collection: str = DEFAULT, *, vectors: bool = False) -> Json:
        """A page of what is stored, by id. Raises ApiFault."""
        query: Json = {"after": after, "limit": limit, "collection": collection}
        return await self._call("GET", "/v1/items", params=query | ({"vectors": True} if vectors else {}))

    async def count(self, collection: str = DEFAULT) -> int:
        """How many items there are. Raises ApiFault."""
        count: int = (await self.items("", 1, collection))["count"]
        return count

    async def delete(self, id: str, collection: str = DEFAULT) -> None:
        """Raises ApiFault, also when there is no such item."""
        await self._call("DELETE", f"/v1/items/{quote(id, safe='')}", params={"collection": collection})

    async def collections(self) -> list[str]:
        """Their names; the default one alone where the server has no others. Raises ApiFault."""
        try:
            data: list[Json] = (await self._call("GET", "/v1/collections"))["data"]
        except ApiFault as fault:
            if not fault.is_off:
                raise
            return [DEFAULT]
        return [one["name"] for one in data]

    async def create_job(self, paths: Sequence[Path], tags: Sequence[str] = (), collection: str = DEFAULT) -> Json:
        """Sends files to be indexed in the background; they are on the server's disk when this returns. Raises
        ApiFault, and OSError for a file that cannot be read."""
        with ExitStack() as opened:
            files = [("files", (path.name, opened.enter_context(path.open("rb")))) for path in paths]
            fields = {"tags": list(tags), "collection": collection}
            return await self._call("POST", "/v1/jobs", data=fields, files=files)

    async def jobs(self, before: str | None, limit: int) -> Json:
        """A page of jobs, the latest first. Raises ApiFault, which `is_off` where the server has no jobs."""
        query: Json = {"limit": limit} | ({"before": before} if before else {})
        return await self._call("GET", "/v1/jobs", params=query)

    async def job(self, id: str) -> Json:
        """A job with its first errors. Raises ApiFault."""
        return await self._call("GET", f"/v1/jobs/{quote(id, safe='')}")

    async def cancel_job(self, id: str) -> Json:
        """Raises ApiFault."""
        return await self._call("DELETE", f"/v1/jobs/{quote(id, safe='')}")

    async def retry_job(self, id: str) -> Json:
        """Raises ApiFault."""
        return await self._call("POST", f"/v1/jobs/{quote(id, safe='')}/retry", json={})

    async def embed(self, content: Mapping[str, Any], role: Role, model: str | None = None) -> Json:
        """The embedding of one input, and what made it: `{"embedding": base64, "fingerprint", "model"}`. `model` is a
        name or a fingerprint; the default collection's when not given. Raises ApiFault."""
        body: Json = {"input": [dict(content)], "input_type": role, "encoding_format": "base64"}
        response = await self._send("POST", "/v1/embeddings", json=body | ({"model": model} if model else {}))
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

    async def status(self) -> Json:
        """What the cluster does now. Raises ApiFault."""
        return await self._call("GET", "/v1/status")

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
        raise ApiFault(response.status_code, str(code), str(message), error.get("param"))

    async def _attempt(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, headers=self._caller(), **options)
        except httpx.TimeoutException as error:
            raise ApiFault(0, "timeout", f"{method} {path} took too long") from error
        except httpx.TransportError as error:
            raise ApiFault(0, "unreachable", str(error) or type(error).__name__) from error


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _form(fields: Mapping[str, Any]) -> dict[str, str]:
    """Fields as a form carries them: what is no text travels as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def _json(response: httpx.Response) -> Json:
    try:
        content = response.json()
    except ValueError as error:
        message = f"{response.request.url.path} answered {response.status_code} with something other than JSON"
        raise ApiFault(response.status_code, "http_error", message) from error
    return content if isinstance(content, dict) else {}
