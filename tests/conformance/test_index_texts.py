"""Search by words: every index that has it agrees with the oracle; the others refuse it, and say which have it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from index_records import DURABLE, NAMES, Opener, axis, opener_of, unit

from retrieval.base import Hit, Payload, Record, TextQuery, VectorIndex
from retrieval.errors import InvalidQuery, Unsupported
from retrieval.filters import In, Not
from retrieval.memory import MemoryIndex

WITH_TEXTS = [name for name in NAMES if name != "milvus-server"]
WORDS = ("red", "dog", "door", "海边", "日落", "一只猫", "猫", "2024", "Straße", "café", "서울", "東京タワー")
QUERIES = (
    "red dog",
    "海边日落",
    "猫",
    "日",
    "strasse",
    "cafe 2024",
    "서울",
    "タワー",
    "the red door at 海边",
    "nothing",
)


@pytest.fixture(params=WITH_TEXTS)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    return opener_of(request, tmp_path)


def item(id: str, text: str | None = None, ocr_text: str | None = None, colour: str = "red") -> Record:
    kind = "text" if ocr_text is None else "image" if text is None else "image_text"
    payload = Payload(kind=kind, text=text, ocr_text=ocr_text, metadata={"colour": colour})
    return Record(id, axis(0), payload)


def made_up(count: int, seed: int = 0) -> list[Record]:
    """Short texts of few words, so that scores tie and terms are shared; every third was read off an image."""
    random_ = random.Random(seed)
    records = []
    for n in range(count):
        text = random_.choice(("", " ")).join(random_.choice(WORDS) for _ in range(random_.randint(1, 6)))
        where = {"ocr_text": text} if n % 3 == 0 else {"text": text}
        records.append(item(f"{n:04}", **where, colour=("red", "blue", "green")[n % 5 % 3]))
    return records


def is_same(hits: Sequence[Hit], expected: Sequence[Hit]) -> bool:
    """The same items in the same order; scores may differ in the last decimal, which another sum rounds."""
    ids = [hit.id for hit in hits] == [hit.id for hit in expected]
    return ids and all(abs(a.score - b.score) <= 2e-6 for a, b in zip(hits, expected, strict=True))


@pytest.mark.parametrize("query", QUERIES)
async def test_words_are_found_as_the_oracle_finds_them(opener: Opener, query: str) -> None:
    index, oracle, records = await opener(), MemoryIndex(16), made_up(300)
    await index.upsert(records)
    await oracle.upsert(records)
    asked = [
        TextQuery(query, 10),
        TextQuery(query, 500),
        TextQuery(query, 7, "image"),
        TextQuery(query, 7, "text", Not(In("metadata.colour", ("red",)))),
        TextQuery(query, 3, "any", In("id", ("0004", "0005", "0299"))),
    ]
    for mine, expected in zip(await index.search_text(asked), await oracle.search_text(asked), strict=True):
        assert is_same(mine, expected)
    found = await oracle.search_text([TextQuery(query, 500)])
    assert bool(found[0]) == (query != "nothing")
    await index.close()


async def test_texts_change_and_go_with_their_items(opener: Opener) -> None:
    index = await opener()

    async def ids(query: str) -> list[str]:
        return [hit.id for hit in (await index.search_text([TextQuery(query, 10)]))[0]]

    await index.upsert([item("a", "a red door"), item("b", None, ""), item("c", "红色的门")])
    assert await ids("door") == ["a"]
    assert await ids("红色") == ["c"]
    read = replace(item("b", None, "").payload, ocr_text="Platform 9, the red door")
    await index.upsert([Record("b", unit(1), read)])
    assert set(await ids("door")) == {"a", "b"}
    await index.upsert([item("a", "a blue window")])
    assert await ids("door") == ["b"]
    await index.delete(["b"])
    assert await ids("door") == []
    assert await ids("window") == ["a"]
    await index.close()


@pytest.mark.parametrize("hostile", ['" OR "', "tokens:red", "red*", "NEAR(red door)", "red NOT door", "'; DROP TABLE"])
async def test_nothing_in_a_query_is_syntax(opener: Opener, hostile: str) -> None:
    index, oracle, records = await opener(), MemoryIndex(16), made_up(60)
    await index.upsert(records)
    await oracle.upsert(records)
    assert is_same(
        (await index.search_text([TextQuery(hostile, 60)]))[0], (await oracle.search_text([TextQuery(hostile, 60)]))[0]
    )
    await index.close()


@pytest.mark.parametrize("empty", ["", "  ", "!?—", "\0"])
async def test_a_query_without_words_finds_nothing(opener: Opener, empty: str) -> None:
    index = await opener()
    await index.upsert(made_up(5))
    assert await index.search_text([TextQuery(empty, 10)]) == [[]]
    await index.close()


@pytest.mark.parametrize(
    ("query", "param"),
    [(TextQuery("x", 0), "top_k"), (TextQuery("x", 1, "video"), "target"), (TextQuery("\ud800", 1), "text"),  # type: ignore[arg-type]
     (TextQuery("x" * 16_001, 1), "text")],
)  # fmt: skip
async def test_a_faulty_query_is_refused(opener: Opener, query: TextQuery, param: str) -> None:
    index = await opener()
    with pytest.raises(InvalidQuery) as caught:
        await index.search_text([query])
    assert caught.value.param == param
    await index.close()


@pytest.mark.parametrize("name", [name for name in DURABLE if name in WITH_TEXTS])
async def test_words_are_found_after_a_restart(name: str, tmp_path: object) -> None:
    opener = Opener(name, tmp_path)  # type: ignore[arg-type]
    index = await opener()
    await index.upsert(made_up(50))
    before = await index.search_text([TextQuery("red 猫", 50)])
    await index.close()
    index = await opener()
    assert await index.search_text([TextQuery("red 猫", 50)]) == before
    assert before[0]
    await index.close()


@pytest.mark.parametrize("opener", [name for name in NAMES if name not in WITH_TEXTS], indirect=True)
async def test_an_index_without_it_says_which_has_it(opener: Opener) -> None:
    index: VectorIndex = await opener()
    with pytest.raises(Unsupported, match="embedded"):
        await index.search_text([TextQuery("red", 10)])
    await index.close()
