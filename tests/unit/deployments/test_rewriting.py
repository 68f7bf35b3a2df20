"""`rewrite` in `/v1/search`: what is encoded, and that the answer says so."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncodeOutcome, EncoderWorker, EncodeTask
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.rewriting import RewriteDefaults
from deployments.schemas.search import SearchRequest
from deployments.services import build_services
from deployments.stages import Stages
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import FolderMedia
from retrieval.memory import MemoryIndex
from tests.unit.deployments.conftest import Api, Picture

ASKED = "Could you show me some pictures of a red lamp, please?"


class ListeningEncoder(LocalEncoder):
    """Remembers the texts that came to be encoded."""

    def __init__(self, worker: EncoderWorker) -> None:
        super().__init__(worker)
        self.texts: list[str | None] = []

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        self.texts += [task.input.text for task in tasks]
        return await super().encode(tasks)


@pytest.mark.parametrize(
    ("default", "asked_for", "encoded"),
    [
        ("off", None, ASKED),
        ("off", "template", "a red lamp"),
        ("template", None, "a red lamp"),
        ("template", "off", ASKED),
    ],
)
async def test_a_request_wins_over_the_setting(tmp_path: Path, default: Any, asked_for: Any, encoded: str) -> None:
    encoder = FakeEncoder()
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    listening = ListeningEncoder(worker)
    index, media = LocalIndex(MemoryIndex(encoder.info.dim)), FolderMedia(tmp_path)
    services = build_services(listening, index, media, encoder.info, ImageLimits(), rewrite=RewriteDefaults(default))
    found = await services.search.search(SearchRequest(text=ASKED, rewrite=asked_for), Stages())
    assert listening.texts == [encoded]
    assert (found.rewriting and found.rewriting.text) == (None if encoded == ASKED else encoded)
    await worker.close()


async def test_the_answer_shows_the_rewritten_query(api: Api) -> None:
    async def rewritten(**body: Any) -> Any:
        answer = await api.http.post("/v1/search", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["rewritten_query"]

    assert await rewritten(text=ASKED) is None
    assert await rewritten(text=ASKED, rewrite="off") is None
    assert await rewritten(text=ASKED, rewrite="template") == "a red lamp"
    answer = (await api.http.post("/v1/search", json={"text": ASKED, "rewrite": "template"})).json()
    assert answer["rewrite"] == {
        "by": "template",
        "subject": "a red lamp",
        "style": None,
        "language": "en",
        "reason": "",
    }
    assert await rewritten(text="请帮我找一张海边日落的照片", rewrite="template") == "海边日落"


async def test_only_a_text_that_stands_alone_is_rewritten(api: Api, picture: Picture) -> None:
    image = base64.b64encode(picture()).decode()
    for body in ({"text": ASKED, "image": image}, {"mix": [{"text": ASKED}]}, {"image": image}):
        answer = await api.http.post("/v1/search", json={**body, "rewrite": "template"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["rewritten_query"] is None


async def test_an_unknown_rewriting_is_refused(api: Api) -> None:
    answer = await api.http.post("/v1/search", json={"text": "x", "rewrite": "magic"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "rewrite"


async def test_what_was_read_comes_with_items_and_hits(api: Api, picture: Picture) -> None:
    await api.add(id="pub", image=base64.b64encode(picture("red")).decode())
    assert (await api.http.get("/v1/items/pub")).json()["ocr_text"] is None
    media = (await api.http.get("/v1/items/pub")).json()["media"]
    assert await LocalIndex(api.index).set_ocr("pub", media, "The Red Lion")
    assert (await api.http.get("/v1/items/pub")).json()["ocr_text"] == "The Red Lion"
    condition = {"field": "ocr_text", "op": "contains", "value": "red lion"}
    hits = (await api.http.post("/v1/search", json={"text": "x", "filter": condition})).json()["hits"]
    assert [(hit["id"], hit["ocr_text"]) for hit in hits] == [("pub", "The Red Lion")]
