"""The HTTP client behind the commands: `crossray_client` with the API's own bodies and the commands' errors.

It takes bodies as `deployments.schemas` has them, and knows nothing of where a server came from. Threads may share a
client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

import crossray_client
from cluster.errors import ApiError, ServerUnreachable
from crossray_client import NO_RETRY, PATIENT, Call, Media, Retry, calls
from crossray_client.errors import Answered
from deployments.schemas.errors import ErrorAnswer
from deployments.schemas.items import ItemPage, LookupAnswer, StoredAnswer, StoredBatchAnswer
from deployments.schemas.match import MatchAnswer
from deployments.schemas.search import SearchAnswer
from deployments.schemas.status import HealthAnswer, ModelAnswer, ModelsAnswer

__all__ = ["PATIENT", "Client", "Media", "Retry"]

Answer = TypeVar("Answer", bound=BaseModel)
T = TypeVar("T")


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
        """Without `retry` each call is tried once. Raises ServerUnreachable for what is no address."""
        self.url = url.rstrip("/")
        try:
            self._client = crossray_client.Client(
                url,
                retry=retry or NO_RETRY,
                timeout_s=timeout_s,
                connections=connections,
                trust_env=False,
                transport=transport,
            )
        except ValueError as error:
            raise ServerUnreachable(self.url, str(error)) from error

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wakes whoever waits for a retry, and closes the connections."""
        self._client.close()

    def health(self) -> HealthAnswer:
        """What `/health/ready` says, ready or not. Raises ServerUnreachable."""
        return self._send(_answered_by(calls.health(), HealthAnswer))

    def model(self) -> ModelAnswer:
        """The first model of `/v1/models`: the one whose vectors the collection holds."""
        return self._send(_answered_by(calls.models(), ModelsAnswer)).data[0]

    def search(self, body: Mapping[str, Any]) -> SearchAnswer:
        """`POST /v1/search` with a JSON body as `SearchRequest` has it; an image is base64."""
        return self._send(_post("/v1/search", SearchAnswer, body))

    def search_by_image(self, image: bytes, fields: Mapping[str, str]) -> SearchAnswer:
        """The multipart form of a search: the image's bytes as they are, the rest as form fields."""
        return self._send(_post("/v1/search", SearchAnswer, fields, image))

    def match(self, texts: Sequence[str], images: Sequence[str]) -> MatchAnswer:
        """Every text against every image (base64)."""
        return self._send(_post("/v1/match", MatchAnswer, {"texts": list(texts), "images": list(images)}))

    def lookup(self, ids: Sequence[str]) -> LookupAnswer:
        """Which of up to 1000 ids exist."""
        return self._send(_answered_by(calls.lookup(ids), LookupAnswer))

    def store(self, fields: Mapping[str, Any], image: bytes | None = None) -> StoredAnswer:
        """Store one item. An image goes as a multipart file, so that its bytes are not inflated."""
        return self._send(_post("/v1/items", StoredAnswer, fields, image))

    def store_batch(self, items: Sequence[Mapping[str, Any]]) -> list[StoredAnswer | ErrorAnswer]:
        """Store up to 256 items as JSON; each succeeds or fails alone, in order."""
        return self._send(_post("/v1/items", StoredBatchAnswer, {"items": list(items)})).results

    def pages(self, *, limit: int, vectors: bool) -> Iterator[ItemPage]:
        """Every item, by id, a page at a time."""
        after: str | None = ""
        while after is not None:
            page = self._send(_answered_by(calls.page(after, limit=limit, vectors=vectors), ItemPage))
            yield page
            after = page.next

    def image(self, item_id: str) -> Media:
        """The stored file of an item."""
        return self._send(calls.image(item_id))

    def thumbnail(self, item_id: str) -> Media:
        """A small JPEG of an item's image."""
        return self._send(calls.thumbnail(item_id))

    def _send(self, call: Call[T]) -> T:
        try:
            return self._client.send(call)
        except crossray_client.ApiError as error:
            raise ApiError(error.status, error.code, error.message, error.param) from error
        except crossray_client.NoAnswer as error:
            raise ServerUnreachable(self.url, error.reason) from error
        except crossray_client.UnexpectedAnswer as error:
            raise ServerUnreachable(self.url, f"not a Crossray server: {error.reason}") from error


def _post(path: str, answer: type[Answer], body: Mapping[str, Any], image: bytes | None = None) -> Call[Answer]:
    """JSON, or with an image a multipart form."""
    if image is None:
        return Call("POST", path, _reader(answer), json=body)
    return Call("POST", path, _reader(answer), fields=body, image=image)


def _answered_by(call: Call[Any], answer: type[Answer]) -> Call[Answer]:
    """The client's own call, whose answer is read as the API's schema has it."""
    return replace(call, read=_reader(answer))


def _reader(answer: type[Answer]) -> Callable[[Answered], Answer]:
    def read(answered: Answered) -> Answer:
        try:
            return answer.model_validate_json(answered.content)
        except ValidationError as error:
            raise ValueError("something else than its schema says") from error

    return read
