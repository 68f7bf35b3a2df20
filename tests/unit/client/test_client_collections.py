"""Collections by both clients: what is sent, and waiting for a build. tests/system/test_clients.py does it for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from crossray_client import ApiError, NewItem, NotFound
from deployments.answer_examples import ANSWERS

COLLECTION = ANSWERS["GET /v1/collections/{name}"][200]


def holding(*versions: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=COLLECTION | {"versions": [COLLECTION["versions"][0] | one for one in versions]})


def in_turn(*answers: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    left = list(answers)
    return lambda _: left.pop(0)


def test_a_build_is_waited_for(answering: Callable[..., Any]) -> None:
    states = ("building", "building", "swapping", "live")
    client = answering(in_turn(*(holding({"id": 1}, {"id": 3, "state": state}) for state in states)))
    seen: list[str] = []
    built = client.wait_for_version("holidays", 3, every_s=0, on_progress=lambda one: seen.append(one.state))
    assert (built.id, built.state, tuple(seen)) == (3, "live", states)


@pytest.mark.parametrize("end", ["ready", "retired"])
def test_a_build_that_did_not_take_over_has_ended(answering: Callable[..., Any], end: str) -> None:
    assert answering(in_turn(holding({"id": 3, "state": end}))).wait_for_version("holidays", 3).state == end


@pytest.mark.parametrize("left", [[{"id": 1}], [{"id": 1}, {"id": 3, "state": "dropping"}]])
def test_a_build_that_somebody_ended_is_not_found(answering: Callable[..., Any], left: list[dict[str, Any]]) -> None:
    client = answering(in_turn(holding({"id": 3, "state": "building"}), holding(*left)))
    with pytest.raises(NotFound, match="holidays has no version 3"):
        client.wait_for_version("holidays", 3, every_s=0)


def test_what_is_not_given_is_left_to_the_server(answering: Callable[..., Any]) -> None:
    sent: list[tuple[str, str, Any]] = []

    def note(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, json.loads(request.content)))
        is_new = request.url.path == "/v1/collections"
        return httpx.Response(200, json=COLLECTION if is_new else COLLECTION["versions"][0])

    client = answering(note)
    client.create_collection("holidays")
    client.reindex("holidays", dim=512, keep=False)
    client.promote("holidays", 2, probes=50)
    assert sent == [
        ("POST", "/v1/collections", {"name": "holidays"}),
        ("POST", "/v1/collections/holidays/reindex", {"dim": 512, "keep": False}),
        ("POST", "/v1/collections/holidays/versions/2/promote", {"probes": 50}),
    ]


def test_calls_name_their_collection(answering: Callable[..., Any]) -> None:
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        body = request.content.decode()
        asked.append(request.url.params.get("collection") or ("none" if '"collection":"none"' in body else body))
        return httpx.Response(404, json={"error": {"message": "no", "type": "t", "param": None, "code": "c"}})

    client = answering(refuse)
    here = {"collection": "none"}
    for call in (
        lambda: client.search("a", **here),
        lambda: client.store(NewItem(text="a", **here)),
        lambda: client.store_batch([NewItem(text="a")], **here),
        lambda: client.get("a", **here),
        lambda: list(client.items(**here)),
        lambda: list(client.pages(**here)),
        lambda: client.delete("a", **here),
        lambda: client.image("a", **here),
        lambda: client.thumbnail("a", **here),
        lambda: client.lookup(["a"], **here),
        lambda: client.match(["a"], [], **here),
        lambda: client.rerank("a", ["b"], **here),
        lambda: client.create_job([NewItem(text="a")], **here),
    ):
        with pytest.raises(ApiError):
            call()
    assert asked == ["none"] * 13


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_a_name_that_is_another_path_is_refused(answering: Callable[..., Any], name: str) -> None:
    with pytest.raises(ValueError, match="no collection's id"):
        answering(in_turn()).delete_collection(name)
