"""HTML that is ours: nothing that a person stored can become markup, and it can be read."""

from __future__ import annotations

import base64
import io
import json
import re
import string
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import ERRORS, INTERNAL
from page.api import ApiFault
from page.browse import stored_items
from page.document import mend_document
from page.heatmap import Column, colours, heat_map
from page.jobs import job_list
from page.map_view import Places, map_view
from page.markup import fault
from page.results import search_results
from page.vectors import Embedding, as_json, as_npy, cosine, plot, read_embedding
from page.words import WORDS, Words

EN = Words("en")
NASTY = '<script>alert(1)</script>" onerror="x'


class Tags(HTMLParser):
    """The names of all tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def item(**fields: Any) -> dict[str, Any]:
    return {"id": "a", "score": 0.5, "thumbnail_url": "/v1/items/a/thumbnail", "metadata": {}, "tags": []} | fields


def job(words: str) -> dict[str, Any]:
    """A job whose every text is this."""
    counts = {"pending": 1, "leased": 0, "done": 0, "failed": 1, "dead": 0, "cancelled": 0}
    error = {"name": words, "error_message": words, "error_code": "x"}
    times = {"created_at": 0.0, "finished_at": None, "rate": 1.0, "eta_s": 2.0}
    return {"id": words, "state": "running", "total": 2, "counts": counts, "errors": [error]} | times


@given(st.text())
def test_nothing_stored_becomes_markup(value: str) -> None:
    for words in (value, NASTY, value + NASTY):
        one = item(
            text=words,
            source=words,
            tags=[words],
            metadata={words: words},
            ocr_text=words,
            mime=words,
            width=1,
            height=1,
        )
        answer = {"hits": [one], "timings_ms": {"total": 1.0, words: 1.0}, "rewritten_query": words}
        answer |= {"nothing_relevant": True, "relevance_reason": words}
        page = {"items": [one], "count": 1, "next": words}
        html = search_results(EN, answer, like=words, collection=words) + stored_items(
            EN, page, after=words or "x", message=words
        )
        html += heat_map(EN, [words], [Column(words, words)], {"cosine": [[0.1]], "probability": [[0.2]]})
        html += job_list(EN, [job(words)], before=words or "x", next=words)
        places = np.zeros((1, 2), np.float32)
        html += map_view(
            EN, Places([one | {"id": words, "kind": "image"}], places, places[0], frozenset([words]), words)
        )
        seen = Tags(html)
        assert "script" not in seen.tags
        assert not [name for name in seen.attributes if name.startswith("on")]


def test_a_hit_of_a_search_by_words_has_no_cosine() -> None:
    html = search_results(EN, {"hits": [item(score=None, text_score=2.5)], "timings_ms": {"total": 1.0}})
    assert 'cr-score"' not in html
    assert "words 2.500" in html


def test_an_id_is_quoted_in_addresses() -> None:
    html = search_results(EN, {"hits": [item(id="猫:1")], "timings_ms": {"total": 1.0}})
    assert '"v1/items/%E7%8C%AB%3A1/thumbnail"' in html
    assert 'alt="the image of item 猫:1"' in html


def test_every_word_is_there_in_both_languages_with_the_same_blanks() -> None:
    def blanks(words: str) -> list[str]:
        return sorted(name for _, name, _, _ in string.Formatter().parse(words) if name)

    for key, (english, chinese) in WORDS.items():
        assert blanks(english) == blanks(chinese), key
        assert english
        assert chinese


def test_each_cell_can_be_read_at_every_heat() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:  # WCAG 2.2, relative luminance
        parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for heat in np.linspace(0, 1, 101):
        dark, light = sorted(map(luminance, colours(float(heat))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, heat


def test_a_map_of_one_value_has_a_colour() -> None:
    assert heat_map(EN, ["t"], [Column("i", "u")], {"cosine": [[0.3]], "probability": None}).count("0.300") == 1


def test_an_embedding_is_saved_as_it_came() -> None:
    vector = np.array([0.6, -0.8, 0.0], dtype=np.float32)
    answer = {"embedding": base64.b64encode(vector.tobytes()).decode(), "model": "m", "fingerprint": "f"}
    embedding = read_embedding(answer)
    assert embedding.norm == pytest.approx(1)
    assert np.array_equal(np.load(io.BytesIO(as_npy(embedding))), vector)
    assert json.loads(as_json(embedding)) == {"model": "m", "fingerprint": "f", "embedding": vector.tolist()}
    bars = re.findall(r"M(\d+)\.5 50\.0V([\d.]+)", plot(EN, embedding))
    assert bars == [("0", "12.5"), ("1", "100.0"), ("2", "50.0")], "scaled to the largest, up for positive"


def test_vectors_of_two_contracts_are_not_compared() -> None:
    one = Embedding(np.ones(2, np.float32), "m", "f")
    assert cosine(one, Embedding(-one.vector, "m", "f")) == pytest.approx(-1)
    assert cosine(one, Embedding(np.zeros(2, np.float32), "m", "f")) == 0
    with pytest.raises(ValueError, match="g"):
        cosine(one, Embedding(one.vector, "m", "g"))


def test_the_document_is_in_its_language_and_leads_nowhere() -> None:
    html = (
        '<html\n\tlang="en"><head><meta property="og:image"\n content="https://elsewhere/x.jpg" />'
        '<meta name="twitter:creator" content="@x" /><link rel="manifest" href="/manifest.json" /></head><p lang="en">'
    )
    mended = mend_document(html, "zh")
    assert '<html\n\tlang="zh-CN">' in mended
    assert '<p lang="en">' in mended
    assert "https://" not in mended
    assert "manifest" not in mended


@pytest.mark.parametrize("code", sorted({error.code for error in [*ERRORS.values(), INTERNAL]}))
def test_every_error_of_the_api_is_told_in_chinese_with_its_own_message_behind(code: str) -> None:
    error = ApiFault(400, code, f"what it says, {NASTY}", None)
    cause = Words("zh").cause(code)
    assert re.search("[\u4e00-\u9fff]", cause)
    said = fault(Words("zh"), error)
    assert f'role="alert">{cause} <span class="cr-why" lang="en">what it says, ' in said
    assert Tags(said).tags == {"p", "span"}
    assert "The API says: what it says" in fault(EN, error)


def test_an_error_that_has_no_words_of_ours_is_shown_as_it_is() -> None:
    assert "接口返回：new" in fault(Words("zh"), ApiFault(400, "of_tomorrow", "new"))
    assert "接口没有响应" in fault(Words("zh"), ApiFault(0, "timeout", "too long"))
