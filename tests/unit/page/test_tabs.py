"""What each tab answers, over the real API with the fake encoder."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest

from page.api import Api, ApiFault
from page.asking import Query
from page.site import Site, content_of
from page.uploads import Upload, store_all, upload_table
from page.words import Words
from tests.unit.page.conftest import Photo

pytest.importorskip("gradio", reason="the tabs are Gradio's")

from page.browse import browse, delete
from page.embedding_tab import embed
from page.index_tab import send_job
from page.jobs import jobs_view
from page.map_tab import draw
from page.match_tab import match
from page.search_tab import greeting, search
from page.status_tab import status


def cards(html: str) -> list[str]:
    """The ids of the cards, in order."""
    return [unescape(id) for id in re.findall(r'<li class="cr-card" data-id="([^"]*)"', html)]


async def test_before_anything_is_stored(site: Site) -> None:
    nothing = "Nothing is indexed yet: add photos in the tab Index."
    assert nothing in await greeting(site)
    assert nothing in await search(site, Query("a cat"))
    assert nothing in await search(replace(site, words=Words("en")), Query("猫"))
    assert "还没有任何内容" in await greeting(replace(site, words=Words("zh")))


async def test_files_are_stored_each_with_its_outcome(site: Site, photo: Photo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no photo")
    given = [photo("one.png", "red"), broken, photo("same as one.png", "red"), tmp_path / "gone.png"]
    steps = [uploads async for uploads in store_all(site.api, given, ["t"])]
    assert [upload.outcome for upload in steps[0]] == ["waiting"] * 4
    assert len(steps) == 5, "one more after each file"
    last = steps[-1]
    assert [upload.path for upload in last] == given
    assert sorted([last[0].outcome, last[2].outcome]) == ["known", "stored"]
    assert [last[1].outcome, last[3].outcome] == ["failed", "failed"]
    table = upload_table(Words("en"), last)
    assert "1 added, 1 there already, 2 failed" in table
    assert "broken.jpg" in table
    assert "0 of 4 done" in upload_table(Words("en"), steps[0])


async def test_browsing_page_by_page_and_deleting(site: Site, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("page.browse.PAGE_ITEMS", 2)
    ids = sorted(
        [
            (await site.api.store(photo("p.png", colour).read_bytes(), colour))["id"]
            for colour in ("red", "lime", "blue")
        ]
    )
    first = await browse(site, "")
    assert cards(first) == ids[:2]
    assert 'data-event="browse"' in first
    after = unescape(re.search(r'data-event="browse" data-after="([^"]+)"', first)[1])  # type: ignore[index]
    second = await browse(site, after)
    assert cards(second) == ids[2:]
    gone = await delete(site, ids[2], "the third", after)
    assert "“the third” was deleted." in gone
    assert cards(gone) == []
    again = await delete(site, ids[2], "the third", "")
    assert 'role="alert"' in again
    assert cards(again) == ids[:2]


async def test_an_embedding_and_its_cosine_with_itself(site: Site) -> None:
    assert "as input A" in await embed(site, {}, content_of("b", None))
    alone = await embed(site, content_of("a cat", None), {})
    [model] = await site.api.models()
    assert model["fingerprint"] in alone
    assert f"<dd>{model['dim']}</dd>" in alone
    assert "Cosine" not in alone
    both = await embed(site, content_of("a cat", None), content_of("a cat", None))
    assert "<strong>1.0000</strong>" in both
    assert "The API says" in await embed(site, content_of("", b"no image"), {})


async def test_the_heat_map_of_photos_and_lines(site: Site, photo: Photo) -> None:
    paths = [str(photo("red.png", "red")), str(photo("blue.png", "blue"))]
    assert "at least one image" in await match(site, paths, " \n")
    table = await match(site, paths, "a cat\n\n 一只猫 \n")
    assert table.count("<td") == 4
    assert 'src="/ui/gradio_api/file=' in table
    assert '<th scope="row">一只猫</th>' in table


async def test_status_shows_health_and_the_whole_contract(site: Site) -> None:
    html = await status(site)
    [model] = await site.api.models()
    for value in (model["id"], model["fingerprint"], *model["contract"].values()):
        assert f"{value}" in unescape(html)


async def test_a_server_that_does_not_answer_is_said_on_every_tab(photo: Photo) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    api = Api("http://127.0.0.1", transport=httpx.MockTransport(refuse))
    site = Site(api, Words("en"), "/ui")
    path = photo("a.png", "red")
    answers = [
        await greeting(site),
        await search(site, Query("a")),
        await browse(site, ""),
        await embed(site, content_of("a", None), {}),
        await match(site, [str(path)], "a"),
        await draw(site, ""),
        (await jobs_view(site)).html,
        await send_job(site, [path], [], "default"),
        await status(site),
    ]
    assert all("The API does not answer: refused" in answer for answer in answers)
    [*_, last] = [uploads async for uploads in store_all(api, [path], [])]
    assert last == [Upload(path, "failed", "refused")]
    await api.close()


async def test_a_full_queue_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("page.api.FIRST_WAIT_S", 0.001)
    answers = [(429, {"error": {"code": "overloaded", "message": "full"}}), (201, {"id": "x", "created": True})]

    def answer(request: httpx.Request) -> httpx.Response:
        status, content = answers.pop(0)
        return httpx.Response(status, json=content)

    api = Api("http://127.0.0.1", transport=httpx.MockTransport(answer))
    assert (await api.store(b"x", "x.png"))["created"] is True
    answers[:] = [(500, {"error": {"code": "internal_error", "message": "broken"}})]
    with pytest.raises(ApiFault, match="broken"):
        await api.store(b"x", "x.png")
    await api.close()
