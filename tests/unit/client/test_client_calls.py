"""Every call of both clients, against the real application over a socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from crossray_client import ApiError, Content, Failure, NewItem, NotFound, Part, Stored
from tests.unit.client.conftest import picture

Photo = Callable[[str], Path]
COLOURS = ("red", "green", "blue")
KEPT = {*COLOURS, *(f"say-{colour}" for colour in COLOURS)}


@pytest.fixture
def client(client: Any) -> Any:
    """With three photos and three texts; what a test adds is gone for the next."""
    there = {item.id for item in client.items()}
    for id in there - KEPT:
        client.delete(id)
    if not there >= KEPT:
        photos = [NewItem(image=picture(c), id=c, metadata={"c": c}, tags=["photo"]) for c in COLOURS]
        client.store_batch(photos + [NewItem(text=f"a {c} field", id=f"say-{c}") for c in COLOURS])
    return client


def first(answer: Any) -> str:
    return str(answer.hits[0].id)


def test_search_by_words_by_picture_and_by_both(client: Any, photo: Photo) -> None:
    assert first(client.search("green", target="image")) == "green"
    assert first(client.search("蓝", target="image")) == "blue"
    assert first(client.search(image=picture("red"), target="text")) == "say-red"
    assert first(client.search(image=photo("blue"), target="text", top_k=1)) == "say-blue"
    assert first(client.search("red", image=photo("red"), target="image")) == "red"
    assert first(client.search(id="red")) == "say-red"


def test_search_by_a_mix(client: Any, photo: Photo) -> None:
    mix = [Part(text="red"), Part(image=photo("green")), Part(id="red", weight=-1)]
    assert first(client.search(mix=mix, target="image")) == "green"


def test_options_reach_the_server_with_and_without_a_picture(client: Any) -> None:
    options = {
        "target": "image",
        "top_k": 2,
        "filter": {"field": "c", "op": "in", "value": ["green", "blue"]},
        "min_score": -1.0,
        "rerank": {"depth": 2, "margin": None, "deadline_ms": 30_000},
        "rewrite": "template",
    }
    for query in ({"text": "red"}, {"text": "red", "image": picture("red")}):
        answer = client.search(**query, **options)
        assert {hit.id for hit in answer.hits} == {"green", "blue"}
        assert answer.hits[0].rerank_score is not None
        assert [stage.name for stage in answer.stages] == ["dense", "rerank"]
        assert answer.timings_ms["total"] > 0


def test_an_item_comes_back_as_it_was_stored(client: Any, photo: Photo) -> None:
    path = photo("purple")
    tags, metadata = ["a", "b c"], {"名": "紫", "n": 3, "share": 0.5, "is_new": True}
    item = NewItem(image=path, text="a purple sky", source="diary", tags=tags, metadata=metadata, created_at=12.5)
    stored = client.store(item)
    assert stored.created
    assert stored.kind == "image_text"
    assert not client.store(item).created, "the same content has the same id"
    got = client.get(stored.id)
    assert (got.text, got.source, got.tags, got.metadata) == ("a purple sky", "diary", tags, metadata)
    assert (got.created_at, got.width, got.height, got.vector) == (12.5, 32, 24, None)
    assert client.image(stored.id).content == path.read_bytes()
    assert client.image(stored.id).mime == "image/png"
    assert client.thumbnail(stored.id).mime == "image/webp"
    assert client.delete(stored.id).deleted
    for ask in (client.get, client.delete, client.image, client.thumbnail):
        with pytest.raises(NotFound) as caught:
            ask(stored.id)
        assert (caught.value.status, caught.value.code, caught.value.param) == (404, "not_found", "id")


def test_a_batch_says_which_of_its_items_failed(client: Any, photo: Photo) -> None:
    items = [NewItem(image=photo("cyan")), NewItem(image=b"no picture"), NewItem(text="one", tags=["t"])]
    results = client.store_batch(items).results
    assert [type(result) for result in results] == [Stored, Failure, Stored]
    assert results[1].code == "image_unsupported"


def test_a_vector_is_stored_as_it_is(client: Any) -> None:
    red = client.get("red", vectors=True)
    fingerprint = client.models().data[0].fingerprint
    client.store(NewItem(text="anything", id="imported", vector=red.vector, fingerprint=fingerprint))
    assert client.get("imported", vectors=True).vector == pytest.approx(red.vector, abs=1e-6)


def test_a_walk_passes_every_item_once(client: Any) -> None:
    client.store_batch(NewItem(text=f"number {n}", id=f"n{n:02}") for n in range(20))
    ids = [item.id for item in client.items(limit=7)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) == 26 == client.page(limit=1).count
    pages = list(client.pages(limit=13, vectors=True))
    assert [len(page.items) for page in pages[:2]] == [13, 13]
    assert all(len(item.vector or ()) == 64 for page in pages for item in page.items)


def test_lookup(client: Any) -> None:
    assert client.lookup(["red", "nothing", "say-blue"]).existing == ["red", "say-blue"]


def test_vectors_are_those_that_the_api_gives_as_numbers(client: Any, url: str, photo: Photo) -> None:
    answer = client.embed(["red", Content(image=photo("blue")), Content(text="a sea", image=picture("blue"))])
    plain = httpx.post(f"{url}/v1/embeddings", json={"input": "red"}, trust_env=False).json()
    assert answer.vectors()[0] == plain["data"][0]["embedding"]
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert answer.fingerprint == client.models().data[0].fingerprint
    assert client.embed("red", input_type="query", dimensions=64).vectors() == answer.vectors()[:1]


def test_an_input_that_cannot_be_embedded_fails_alone(client: Any) -> None:
    answer = client.embed(["red", "poison"])
    good, bad = answer.data
    assert good.failure is None
    assert bad.vector is None
    assert (bad.failure.code, bad.failure.param) == ("refused", "input[1]")
    with pytest.raises(ApiError, match="poison"):
        answer.vectors()


def test_match(client: Any, photo: Photo) -> None:
    answer = client.match(["red", "blue", "green"], [photo("red"), picture("blue")])
    assert [row.index(max(row)) for row in answer.cosine[:2]] == [0, 1]
    assert len(answer.cosine) == 3


def test_rerank(client: Any, photo: Photo) -> None:
    documents = ["a blue sky", Content(id="red"), Content(image=photo("green")), "red"]
    answer = client.rerank("red", documents, top_n=2, return_documents=True)
    assert {ranked.index for ranked in answer.results} == {1, 3}
    assert {ranked.document.text or ranked.document.id for ranked in answer.results} == {"red"}
    assert answer.results[0].relevance_score >= answer.results[1].relevance_score
    assert answer.usage["total_tokens"] > 0


def test_health(client: Any) -> None:
    health = client.health()
    assert (health.status, health.count) == ("ok", 6)


def test_an_error_names_code_and_field(client: Any) -> None:
    with pytest.raises(ApiError) as caught:
        client.search("red", top_k=0)
    error = caught.value
    assert (error.status, error.code, error.type) == (400, "invalid_request", "invalid_request_error")
    assert error.param == "top_k"
    assert str(error).endswith("(field top_k) [400 invalid_request]")


def test_a_path_as_a_string_is_refused_before_anything_is_read(client: Any) -> None:
    for call in (
        lambda: client.search(image="/etc/hostname"),
        lambda: client.store(NewItem(image="/etc/hostname")),  # type: ignore[arg-type]
        lambda: client.store_batch([NewItem(image="/etc/hostname")]),  # type: ignore[arg-type]
        lambda: client.match(["a"], ["/etc/hostname"]),
        lambda: client.embed(Content(image="/etc/hostname")),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=r"bytes or a pathlib\.Path, not str"):
            call()


def test_a_file_that_is_not_there_is_an_os_error(client: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.search(image=tmp_path / "none.png")


@pytest.mark.parametrize("id", ["", ".", "..", "red/image"])
def test_an_id_that_names_another_path_is_refused(client: Any, id: str) -> None:
    with pytest.raises(ValueError, match="no item's id"):
        client.delete(id)


def test_an_id_is_quoted(client: Any) -> None:
    with pytest.raises(NotFound):
        client.get("red?vectors=true#")
