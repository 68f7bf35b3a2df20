"""Text is read off images in a running cluster: after they are stored, and also after what reads them was killed."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from loadtests.made_up_pages import PAGES, character_error_rate, draw, font_path, text_of
from tests.system.clusters import Cluster, wait_until

PAGES_ONLY = {"collection": "pages"}
"""A page takes a CPU second, on cores that the tests share."""


def page_png(name: str, font: Path) -> str:
    out = io.BytesIO()
    Image.fromarray(draw(PAGES[name], font)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def items(http: httpx.Client) -> dict[str, Any]:
    return {item["id"]: item for item in http.get("/v1/items", params=PAGES_ONLY).json()["items"]}


def count_read(http: httpx.Client) -> int:
    return sum(item["ocr_text"] is not None for item in items(http).values())


def test_pages_are_found_by_what_is_printed_on_them_even_after_a_kill(working_cluster: Cluster) -> None:
    font = font_path()
    if font is None:
        pytest.skip("no font with Chinese glyphs: run  pip install pylopdf-fonts-zh-cn==0.1.1")
    with working_cluster.http() as http:
        assert http.post("/v1/collections", json={"name": "pages"}).status_code == 201
        for name in PAGES:
            page = {"id": name, "image": page_png(name, font), "metadata": {"n": 1}}
            answer = http.post("/v1/items", json=page | PAGES_ONLY)
            assert answer.status_code == 201, answer.text
        by_vector = http.post("/v1/search", json={"id": "en-1", "top_k": 10} | PAGES_ONLY).json()
        assert len(by_vector["hits"]) == len(PAGES) - 1
        wait_until(lambda: count_read(http) >= 1, "the first page is read")
        reader = working_cluster.replica("Ocr")
        assert reader is not None
        reader.kill()
        wait_until(lambda: count_read(http) == len(PAGES), "all pages are read")
        found = items(http)
        for name, rows in PAGES.items():
            assert character_error_rate(found[name]["ocr_text"], text_of(rows)) < 0.1
            assert found[name]["metadata"] == {"n": 1}
        for part, name in (("apricot TART", "en-1"), ("桂花酸梅汤", "zh-1")):
            condition = {"field": "ocr_text", "op": "contains", "value": part}
            body = {"text": "show me a cat", "rewrite": "template", "filter": condition}
            answer = http.post("/v1/search", json=body | PAGES_ONLY)
            assert [hit["id"] for hit in answer.json()["hits"]] == [name]
            assert answer.json()["rewritten_query"] == "a cat"
