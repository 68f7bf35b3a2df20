"""The HTTP client behind the commands: `crossray_client` with the API's own bodies and the commands' errors.

It takes bodies as `deployments.schemas` has them, and knows nothing of where a server came from. Threads may share a
client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

import crossray_client
from cluster.errors import ApiError, ServerUnreachable
from crossray_client import NO_RETRY, PATIENT, Call, Media, Retry, calls
from crossray_client.errors import Answered
from deployments.catalog.versions import DEFAULT
from deployments.schemas.collections import CollectionAnswer, CollectionsAnswer, VersionAnswer
from deployments.schemas.errors import ErrorAnswer
from deployments.schemas.items import ItemPage, LookupAnswer, StoredAnswer, StoredBatchAnswer
from deployments.schemas.jobs import JobAnswer, JobItemPage, JobPage
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
        api_key: str | None = None,
        retry: Retry | None = None,
        timeout_s: float = 120.0,
        connections: int = 32,
        transport: httpx.BaseTransport | None = None,
        collection: str = DEFAULT,
    ) -> None:
        """Items are those of `collection`. Without `retry` each call is tried once.

        Raises ServerUnreachable for what is no address.
        """
        self.url = url.rstrip("/")
        self._collection = collection
        self._where: dict[str, Any] = {} if collection == DEFAULT else {"collection": collection}
        try:
            self._client = crossray_client.Client(
                url,
                api_key=api_key,
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
        models = self._send(_answered_by(calls.models(), ModelsAnswer)).data
        if not self._where:
            return models[0]
        collection = self.collection(self._collection)
        live = next(version for version in collection.versions if version.id == collection.live)
        own = {"id": live.encoder, "dim": live.dim, "contract": live.contract, "fingerprint": live.fingerprint}
        return next((one for one in models if one.id == live.encoder), models[0]).model_copy(update=own)

    def search(self, body: Mapping[str, Any]) -> SearchAnswer:
        """`POST /v1/search` with a JSON body as `SearchRequest` has it; an image is base64."""
        return self._send(_post("/v1/search", SearchAnswer, {**self._where, **body}))

    def search_by_image(self, image: bytes, fields: Mapping[str, str]) -> SearchAnswer:
        """The multipart form of a search: the image's bytes as they are, the rest as form fields."""
        return self._send(_post("/v1/search", SearchAnswer, {**self._where, **fields}, image))

    def match(self, texts: Sequence[str], images: Sequence[str]) -> MatchAnswer:
        """Every text against every image (base64)."""
        return self._send(
            _post("/v1/match", MatchAnswer, {"texts": list(texts), "images": list(images), **self._where})
        )

    def lookup(self, ids: Sequence[str]) -> LookupAnswer:
        """Which of up to 1000 ids exist."""
        return self._send(_answered_by(calls.lookup(ids, **self._where), LookupAnswer))

    def store(self, fields: Mapping[str, Any], image: bytes | None = None) -> StoredAnswer:
        """Store one item. An image goes as a multipart file, so that its bytes are not inflated."""
        return self._send(_post("/v1/items", StoredAnswer, {**self._where, **fields}, image))

    def store_batch(self, items: Sequence[Mapping[str, Any]]) -> list[StoredAnswer | ErrorAnswer]:
        """Store up to 256 items as JSON; each succeeds or fails alone, in order."""
        return self._send(_post("/v1/items", StoredBatchAnswer, {"items": list(items), **self._where})).results

    def pages(self, *, limit: int, vectors: bool, after: str | None = "") -> Iterator[ItemPage]:
        """Every item beyond the id `after`, by id, a page at a time."""
        while after is not None:
            page = self._send(_answered_by(calls.page(after, limit=limit, vectors=vectors, **self._where), ItemPage))
            yield page
            after = page.next

    def image(self, item_id: str) -> Media:
        """The stored file of an item."""
        return self._send(calls.image(item_id, **self._where))

    def thumbnail(self, item_id: str) -> Media:
        """A small WebP of an item's image."""
        return self._send(calls.thumbnail(item_id, **self._where))

    def collections(self) -> list[CollectionAnswer]:
        """All of them, without counts."""
        return self._send(_answered_by(calls.collections(), CollectionsAnswer)).data

    def collection(self, name: str) -> CollectionAnswer:
        """One, with the rows of its versions."""
        return self._send(_answered_by(calls.collection(name), CollectionAnswer))

    def create_collection(self, name: str, **wanted: Any) -> CollectionAnswer:
        """One without items; `wanted` as `crossray_client.calls.create_collection` has it."""
        return self._send(_answered_by(calls.create_collection(name, **wanted), CollectionAnswer))

    def delete_collection(self, name: str) -> None:
        self._send(calls.delete_collection(name))

    def reindex(self, name: str, **wanted: Any) -> VersionAnswer:
        """Begins a build, which goes on by itself; `wanted` as `crossray_client.calls.reindex` has it."""
        return self._send(_answered_by(calls.reindex(name, **wanted), VersionAnswer))

    def promote(self, name: str, version: int, **options: Any) -> VersionAnswer:
        """Begins to bring a kept version up to date; `options` as `crossray_client.calls.promote` has them."""
        return self._send(_answered_by(calls.promote(name, version, **options), VersionAnswer))

    def drop_version(self, name: str, version: int) -> None:
        self._send(calls.drop_version(name, version))

    def create_job(self, **wanted: Any) -> JobAnswer:
        """One of URLs or of a server's folder; `wanted` as `crossray_client.calls.create_job` has it."""
        return self._send(_answered_by(calls.create_job(**self._where, **wanted), JobAnswer))

    def upload_job(self, files: Sequence[Path], archive: Path | None, **wanted: Any) -> JobAnswer:
        """One of files and an archive, streamed; `wanted` as `crossray_client.calls.upload_job` has it."""
        return self._send(_answered_by(calls.upload_job(files, archive=archive, **self._where, **wanted), JobAnswer))

    def jobs(self, limit: int) -> JobPage:
        """The latest jobs."""
        return self._send(_answered_by(calls.jobs(limit=limit), JobPage))

    def job(self, id: str) -> JobAnswer:
        """How far a job is."""
        return self._send(_answered_by(calls.job(id), JobAnswer))

    def job_items(self, id: str, state: str, after: int) -> JobItemPage:
        """A job's items of one state, a page at a time."""
        return self._send(_answered_by(calls.job_items(id, state, after=after, limit=1000), JobItemPage))

    def retry_job(self, id: str) -> JobAnswer:
        """Have dead and cancelled items done anew."""
        return self._send(_answered_by(calls.retry_job(id), JobAnswer))

    def cancel_job(self, id: str) -> JobAnswer:
        """Items that nobody works on are cancelled."""
        return self._send(_answered_by(calls.cancel_job(id), JobAnswer))

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
