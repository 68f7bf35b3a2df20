"""The HTTP client behind the commands: typed answers, one error class a failure, retries where they are asked for.

It knows the API's bodies (`deployments.schemas`) and nothing of where a server came from. Threads may share a client.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from cluster.errors import ApiError, ServerUnreachable
from deployments.schemas.errors import ErrorAnswer
from deployments.schemas.items import ItemPage, LookupAnswer, StoredAnswer, StoredBatchAnswer
from deployments.schemas.match import MatchAnswer
from deployments.schemas.search import SearchAnswer
from deployments.schemas.status import HealthAnswer, ModelAnswer, ModelsAnswer

Answer = TypeVar("Answer", bound=BaseModel)
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
MAX_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try in all, and the first pause; pauses double, with jitter, and heed `Retry-After`."""

    attempts: int = 1
    first_wait_s: float = 0.5


PATIENT = Retry(attempts=8)


@dataclass(frozen=True, slots=True)
class Media:
    """A stored file as the server gives it back."""

    content: bytes
    mime: str


class Client:
    """One server. `transport` replaces the network in tests."""

    def __init__(
        self,
        url: str,
        *,
        retry: Retry | None = None,
        timeout_s: float = 120.0,
        connections: int = 32,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._retry = retry or Retry()
        self._closed = threading.Event()
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout_s, connect=5.0),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wakes whoever waits for a retry, and closes the connections."""
        self._closed.set()
        self._http.close()

    def health(self) -> HealthAnswer:
        """What `/health/ready` says, ready or not. Raises ServerUnreachable."""
        response = self._attempt("GET", "/health/ready")
        return self._parse(response, HealthAnswer)

    def model(self) -> ModelAnswer:
        """The first model of `/v1/models`: the one whose vectors the collection holds."""
        return self._call(ModelsAnswer, "GET", "/v1/models").data[0]

    def search(self, body: Mapping[str, Any]) -> SearchAnswer:
        """`POST /v1/search` with a JSON body as `SearchRequest` has it; an image is base64."""
        return self._call(SearchAnswer, "POST", "/v1/search", json=body)

    def search_by_image(self, image: bytes, fields: Mapping[str, str]) -> SearchAnswer:
        """The multipart form of a search: the image's bytes as they are, the rest as form fields."""
        files = {"image": ("image", image, "application/octet-stream")}
        return self._call(SearchAnswer, "POST", "/v1/search", data=fields, files=files)

    def match(self, texts: Sequence[str], images: Sequence[str]) -> MatchAnswer:
        """Every text against every image (base64)."""
        return self._call(MatchAnswer, "POST", "/v1/match", json={"texts": list(texts), "images": list(images)})

    def lookup(self, ids: Sequence[str]) -> LookupAnswer:
        """Which of up to 1000 ids exist."""
        return self._call(LookupAnswer, "POST", "/v1/items/lookup", json={"ids": list(ids)})

    def store(self, fields: Mapping[str, Any], image: bytes | None = None) -> StoredAnswer:
        """Store one item. An image goes as a multipart file, so that its bytes are not inflated."""
        if image is None:
            return self._call(StoredAnswer, "POST", "/v1/items", json=fields)
        files = {"image": ("image", image, "application/octet-stream")}
        return self._call(StoredAnswer, "POST", "/v1/items", data=fields, files=files)

    def store_batch(self, items: Sequence[Mapping[str, Any]]) -> list[StoredAnswer | ErrorAnswer]:
        """Store up to 256 items as JSON; each succeeds or fails alone, in order."""
        return self._call(StoredBatchAnswer, "POST", "/v1/items", json={"items": list(items)}).results

    def pages(self, *, limit: int, vectors: bool) -> Iterator[ItemPage]:
        """Every item, by id, a page at a time."""
        after: str | None = ""
        while after is not None:
            query = {"after": after, "limit": limit, "vectors": str(vectors).lower()}
            page = self._call(ItemPage, "GET", "/v1/items", params=query)
            yield page
            after = page.next

    def image(self, item_id: str) -> Media:
        """The stored file of an item."""
        return self._media(f"/v1/items/{item_id}/image")

    def thumbnail(self, item_id: str) -> Media:
        """A small JPEG of an item's image."""
        return self._media(f"/v1/items/{item_id}/thumbnail")

    def _media(self, path: str) -> Media:
        response = self._send("GET", path)
        return Media(response.content, response.headers.get("content-type", "application/octet-stream"))

    def _call(self, answer: type[Answer], method: str, path: str, **options: Any) -> Answer:
        return self._parse(self._send(method, path, **options), answer)

    def _parse(self, response: httpx.Response, answer: type[Answer]) -> Answer:
        try:
            return TypeAdapter(answer).validate_json(response.content)
        except ValidationError as error:
            reason = f"{response.request.url.path} answered {response.status_code} with something else"
            raise ServerUnreachable(self.url, f"not a Crossray server: {reason}") from error

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of a request that succeeded, tried as often as the retry policy says."""
        for attempt in range(1, self._retry.attempts + 1):
            last = attempt == self._retry.attempts
            wait_s = self._retry.first_wait_s * 2 ** (attempt - 1)
            try:
                response = self._attempt(method, path, **options)
            except ServerUnreachable:
                if last:
                    raise
            else:
                if response.is_success:
                    return response
                if last or response.status_code not in RETRIED_STATUSES:
                    raise _api_error(response)
                wait_s = max(wait_s, _retry_after_s(response))
            self._closed.wait(min(wait_s, MAX_WAIT_S) * random.uniform(0.75, 1.25))  # noqa: S311
        raise AssertionError("unreachable: attempts >= 1")

    def _attempt(self, method: str, path: str, **options: Any) -> httpx.Response:
        if self._closed.is_set():
            raise ServerUnreachable(self.url, "the client was closed")
        try:
            return self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise ServerUnreachable(self.url, f"{method} {path} took too long") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ServerUnreachable(self.url, str(error) or type(error).__name__) from error


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds from a `Retry-After` header (RFC 9110, the delay form); 0 where there is none."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


def _api_error(response: httpx.Response) -> ApiError:
    try:
        detail = ErrorAnswer.model_validate_json(response.content).error
    except ValidationError:
        text = " ".join(response.text.split())[:200] or response.reason_phrase
        return ApiError(response.status_code, "http_error", text)
    return ApiError(response.status_code, detail.code, detail.message, detail.param)
