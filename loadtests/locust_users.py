"""Users of the public HTTP API: who searches by text, by image, who uploads, and who does all three.

Importing this imports locust, which patches the standard library for gevent: only locust's own processes do.
"""

from __future__ import annotations

import json
import random
import time
from collections import deque
from functools import cache
from typing import Any

import gevent
from locust import FastHttpUser, task

from loadtests.inputs import DistinctPhotos, fresh_numbers, text
from loadtests.load import MULTIPART, multipart_body
from loadtests.made_up_photos import made_up_photos
from loadtests.recorder import SHED
from loadtests.slo import DELETE, SEARCH_IMAGE, SEARCH_TEXT, UPLOAD

TAG = "load-test"
"""On all items that are uploaded, should any be left behind."""
PHOTOS = 8
TOP_K = 10
LONGEST_RETRY_S = 5.0


@cache
def photos() -> list[bytes]:
    """The same for all users of a process. Making them takes the better part of a second."""
    return made_up_photos(PHOTOS)


class ApiUser(FastHttpUser):
    """What all users share: a key, a collection, a pace, and how answers are counted."""

    abstract = True
    client: Any  # which takes bytes, too

    def __init__(self, environment: Any) -> None:
        options = environment.parsed_options
        self.default_headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
        super().__init__(environment)
        self.options = options
        # Of this user alone, and made when it starts: workers that were forked from one process share none.
        self.numbers = fresh_numbers()
        self.new_photo = DistinctPhotos(photos())
        self.stored: deque[str] = deque()
        self._due = time.monotonic()

    def wait_time(self) -> float:
        """Until the next request is due: `--pace` a second on average, a Poisson process, as many people together are.

        Who is late goes on at once and makes up for nothing: users do not send bursts because the server was slow.
        """
        if self.options.pace <= 0:
            return 0.0
        now = time.monotonic()
        self._due = max(self._due + random.expovariate(self.options.pace), now)
        return self._due - now

    def on_start(self) -> None:
        """Not all users at the same moment."""
        self.wait()

    def search_by_text(self) -> None:
        body = {"text": text(next(self.numbers)), "top_k": TOP_K, "collection": self.options.collection}
        self.send(SEARCH_TEXT, "POST", "/v1/search", json.dumps(body).encode(), "application/json")

    def search_by_image(self) -> None:
        fields = {"top_k": str(TOP_K), "collection": self.options.collection}
        self.send(SEARCH_IMAGE, "POST", "/v1/search", multipart_body(self.new_photo(), fields), MULTIPART)

    def upload(self) -> None:
        """Stores a photo, and deletes its oldest where there are more than `--keep`."""
        fields = {"tags": TAG, "collection": self.options.collection}
        answer = self.send(UPLOAD, "POST", "/v1/items", multipart_body(self.new_photo(), fields), MULTIPART)
        if answer is not None:
            self.stored.append(answer["id"])
        if len(self.stored) > self.options.keep:
            self.delete_oldest()

    def delete_oldest(self) -> None:
        """What is not deleted, as the server is full say, waits for its next turn."""
        oldest = self.stored.popleft()
        path = f"/v1/items/{oldest}?collection={self.options.collection}"
        if self.send(DELETE, "DELETE", path, b"", "application/json") is None:
            self.stored.append(oldest)

    def on_stop(self) -> None:
        """Leaves the collection as it was."""
        for _ in range(len(self.stored)):
            self.delete_oldest()

    def send(self, name: str, method: str, path: str, body: bytes, content_type: str) -> Any:
        """The answer of a request that is counted as `name`; None where it was shed or failed.

        Who was told by 429 to come back later does so later, by at most `LONGEST_RETRY_S`.
        """
        headers = {"Content-Type": content_type}
        with self.client.request(method, path, name=name, data=body, headers=headers, catch_response=True) as response:
            if response.status_code == 429:
                response.request_meta["request_type"] = SHED
                response.success()
            elif 200 <= response.status_code < 300:
                return json.loads(response.content)
            else:
                response.failure(_what_failed(response))
                return None
        gevent.sleep(min(_seconds(response), LONGEST_RETRY_S))
        return None


def _seconds(response: Any) -> float:
    said = str((response.headers or {}).get("retry-after", ""))
    return float(said) if said.isdigit() else 1.0


def _what_failed(response: Any) -> str:
    """Without ids and figures of the single request, or each failure would be a line of its own in the report."""
    if response.status_code == 0:
        return f"no answer: {type(response.error).__name__}"
    try:
        error = json.loads(response.content)["error"]
        return f"{response.status_code} {error['code']}"
    except (ValueError, KeyError, TypeError):
        return f"{response.status_code}"


class TextSearcher(ApiUser):
    """Asks by words that nobody asked by before."""

    @task
    def search(self) -> None:
        self.search_by_text()


class ImageSearcher(ApiUser):
    """Asks by photos that nobody showed before."""

    @task
    def search(self) -> None:
        self.search_by_image()


class Uploader(ApiUser):
    """Stores photos, and keeps only its last ones."""

    @task
    def store(self) -> None:
        self.upload()


class Mixed(ApiUser):
    """Of ten requests seven search by text, two by image, one uploads; deletes of old uploads come on top."""

    @task(7)
    def by_text(self) -> None:
        self.search_by_text()

    @task(2)
    def by_image(self) -> None:
        self.search_by_image()

    @task(1)
    def store(self) -> None:
        self.upload()
