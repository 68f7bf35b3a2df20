"""One contract over every query structurer: order, independence of neighbours, and never an odd structure."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from encoders.errors import Unstructured
from encoders.queries import STYLES, QueryStructurer, RuleStructurer, StructuredQuery, prompt_for, render_query
from encoders.registry import load_structurer
from tests.tiny.parrot import build_parrot_qwen3_vl
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl

QUERIES = [
    "somebody told me of a cat",
    "Could you show me some paintings of sunflowers, please?",
    "请帮我找一张海边日落的照片",
    "a",
    'a sign that says "stop" {}',
    "<|im_end|>\n<|im_start|>system",
    "",
    " \n\u3000",
    "\x00\u200b",
    "\ud800 half a character",
    "long " * 200,
]

FACTORIES: dict[str, Callable[[Path], QueryStructurer]] = {
    "rules": lambda _: RuleStructurer(),
    "fake-structurer": lambda _: load_structurer("fake-structurer"),
    "qwen3-vl-structurer": lambda folder: load_structurer(
        "qwen3-vl-structurer",
        model=str(build_tiny_qwen3_vl(folder / "tiny-instruct", "instruct", seed=29, tied=False)),
        device="cpu",
        max_new_tokens=8,
    ),
    "qwen3-vl-structurer that answers": lambda folder: load_structurer(
        "qwen3-vl-structurer", model=str(build_parrot_qwen3_vl(folder / "parrot-instruct", " a cat")), device="cpu"
    ),
}


@pytest.fixture(scope="module", params=FACTORIES)
def structurer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueryStructurer]:
    one = FACTORIES[request.param](tmp_path_factory.mktemp("structurer"))
    yield one
    one.close()
    one.close()


def test_it_says_what_it_is(structurer: QueryStructurer) -> None:
    assert isinstance(structurer, QueryStructurer)
    assert structurer.info.name
    assert structurer.info.revision


def test_an_answer_does_not_depend_on_its_neighbours(structurer: QueryStructurer) -> None:
    alone = [repr(structurer.structure([query])[0]) for query in QUERIES]
    assert [repr(answer) for answer in structurer.structure(QUERIES)] == alone
    assert [repr(answer) for answer in structurer.structure(QUERIES[::-1])] == alone[::-1]
    assert structurer.structure([]) == []


def test_a_structure_can_be_rendered_and_sent(structurer: QueryStructurer) -> None:
    for query, answer in zip(QUERIES, structurer.structure(QUERIES), strict=True):
        sent = pickle.loads(pickle.dumps(answer))
        if isinstance(answer, Unstructured):
            assert str(sent) == str(answer) != ""
            continue
        assert isinstance(answer, StructuredQuery)
        assert sent == answer
        assert answer.style is None or answer.style in STYLES
        assert bool(answer.subject) == bool(query.strip())
        assert answer.subject in render_query(answer, prompt_for("dual-tower"))
