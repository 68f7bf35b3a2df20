"""`/v1/items` through the whole application: every shape of a write, and what reading gives back."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.content import content_id
from encoders.fake import FakeEncoder
from retrieval import Record
from retrieval.memory import MemoryIndex
from tests.unit.deployments.conftest import Api, Picture, running


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_a_text_comes_back_as_it_was_sent(api: Api) -> None:
    sent = {"text": "a red \u0000 square 红色", "source": "notes.txt", "tags": ["b", "a"], "created_at": 12.5}
    sent |= {"metadata": {"year": 2020, "ratio": 0.5, "ok": True, "who": "me"}}
    answer = await api.http.post("/v1/items", json=sent)
    assert answer.status_code == 201
    stored = answer.json()
    fingerprint = api.encoder.info.contract.fingerprint
    assert stored == {"id": stored["id"], "created": True, "kind": "text", "fingerprint": fingerprint}
    assert stored["id"] == content_id(None, sent["text"])  # type: ignore[arg-type]
    got = (await api.http.get(f"/v1/items/{stored['id']}")).json()
    assert sent.items() <= got.items()
    assert got["image_url"] is None
    assert got["media"] is None
    assert type(got["metadata"]["ok"]) is bool
    assert type(got["metadata"]["year"]) is int
    assert "vector" not in got


@pytest.mark.parametrize("shape", ["base64", "data_uri", "multipart"])
async def test_an_image_is_taken_in_three_shapes(api: Api, picture: Picture, shape: str) -> None:
    data = picture("blue", "JPEG")
    if shape == "multipart":
        form = {"tags": ["x", "y"], "metadata": json.dumps({"year": 1}), "created_at": "7"}
        answer = await api.http.post("/v1/items", files={"image": ("a.jpg", data, "image/jpeg")}, data=form)
    else:
        image = b64(data) if shape == "base64" else f"data:image/jpeg;base64,{b64(data)}"
        body = {"image": image, "tags": ["x", "y"], "metadata": {"year": 1}, "created_at": 7}
        answer = await api.http.post("/v1/items", json=body)
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert id == content_id(data, None), "the same content has the same id, whatever it came in"
    got = (await api.http.get(f"/v1/items/{id}")).json()
    assert (got["kind"], got["mime"], got["width"], got["height"]) == ("image", "image/jpeg", 32, 24)
    assert (got["tags"], got["metadata"], got["created_at"]) == (["x", "y"], {"year": 1}, 7.0)
    image = await api.http.get(got["image_url"])
    assert image.content == data
    assert image.headers["content-type"] == "image/jpeg"
    assert image.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("which", ["image", "thumbnail"])
async def test_whoever_kept_an_image_asks_and_learns_of_another(api: Api, picture: Picture, which: str) -> None:
    await api.add(id="cat", image=b64(picture("red")))
    path = f"/v1/items/cat/{which}"
    first = await api.http.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"another", {tag}', "*"):
        same = await api.http.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    await api.add(id="cat", image=b64(picture("blue")))
    other = await api.http.get(path, headers={"If-None-Match": tag})
    assert other.status_code == 200
    assert other.content != first.content
    assert other.headers["etag"] != tag
    await api.http.delete("/v1/items/cat")
    assert (await api.http.get(path, headers={"If-None-Match": tag})).status_code == 404


async def test_a_text_file_as_a_form_field_is_a_text(api: Api) -> None:
    answer = await api.http.post("/v1/items", files={"text": ("a.txt", "grüner Baum".encode(), "text/plain")})
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == content_id(None, "grüner Baum")


async def test_an_image_with_its_text_is_one_item(api: Api, picture: Picture) -> None:
    stored = await api.add(image=b64(picture()), text="a flag")
    assert stored["kind"] == "image_text"
    assert stored["id"] not in (content_id(picture(), None), content_id(None, "a flag"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
async def test_every_format_is_stored_and_thumbnailed(api: Api, picture: Picture, kind: str) -> None:
    stored = await api.add(image=b64(picture("green", kind, (600, 300))))
    got = (await api.http.get(f"/v1/items/{stored['id']}")).json()
    assert got["mime"] == f"image/{kind.lower()}"
    small = await api.http.get(got["thumbnail_url"])
    assert small.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(small.content)).size == (256, 128)
    assert (await api.http.get(got["thumbnail_url"])).content == small.content


async def test_cmyk_and_animated_images_are_taken(api: Api, picture: Picture) -> None:
    await api.add(id="cmyk", image=b64(picture((0, 255, 255, 0), "JPEG", mode="CMYK")))
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    await api.add(id="animated", image=b64(out.getvalue()))
    await api.add(id="blue", image=b64(picture("blue")))
    assert set(await api.ids(text="red", top_k=2)) == {"cmyk", "animated"}, "ink is seen as light, and frame one counts"


async def test_the_same_content_again_is_not_encoded(api: Api, picture: Picture) -> None:
    first = await api.add(image=b64(picture()), tags=["a"])
    forwards, files = list(api.encoder.forwards), api.files()  # type: ignore[attr-defined]
    answer = await api.http.post("/v1/items", json={"image": b64(picture()), "tags": ["a"]})
    assert answer.status_code == 200
    assert answer.json() == first | {"created": False}
    assert api.encoder.forwards == forwards  # type: ignore[attr-defined]
    assert api.files() == files
    assert await api.index.count() == 1


async def test_other_metadata_is_taken_without_encoding(api: Api, picture: Picture) -> None:
    first = await api.add(image=b64(picture()), tags=["old"], metadata={"n": 1}, created_at=5, source="a.png")
    before = (await api.http.get(f"/v1/items/{first['id']}", params={"vectors": True})).json()
    forwards = list(api.encoder.forwards)  # type: ignore[attr-defined]
    again = await api.add(image=b64(picture()), tags=["new"], metadata={"n": 2})
    assert not again["created"]
    assert api.encoder.forwards == forwards  # type: ignore[attr-defined]
    after = (await api.http.get(f"/v1/items/{first['id']}", params={"vectors": True})).json()
    assert after == before | {"tags": ["new"], "metadata": {"n": 2}}, "the date and the source stay"


async def test_other_content_under_the_same_id_replaces_it(api: Api) -> None:
    await api.add(id="one", text="a red square")
    await api.add(id="two", text="a yellow circle")
    again = await api.add(id="one", text="a blue square")
    assert again["created"] is False
    assert await api.index.count() == 2
    assert await api.ids(text="blue") == ["one", "two"]


async def test_a_text_that_was_read_elsewhere_is_kept_until_the_image_changes(api: Api, picture: Picture) -> None:
    async def read_after(sent: dict[str, Any]) -> object:
        assert (await api.http.post("/v1/items", json={"id": "page"} | sent)).is_success
        return (await api.http.get("/v1/items/page")).json()["ocr_text"]

    red, blue = {"image": b64(picture("red"))}, {"image": b64(picture("blue"))}
    assert await read_after(red | {"ocr_text": "STOP"}) == "STOP"
    assert await read_after(red | {"tags": ["x"]}) == "STOP"
    assert await read_after(red | {"ocr_text": ""}) == ""
    assert await read_after(blue) is None


async def test_a_batch_answers_each_item_in_order(api: Api, picture: Picture) -> None:
    good, bad, image = {"text": "one"}, {"text": ""}, {"image": b64(picture())}
    wrong: dict[str, Any] = {"text": "x", "surprise": 1}
    answer = await api.http.post("/v1/items", json={"items": [good, bad, image, wrong]})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result.get("created") for result in results] == [True, None, True, None]
    assert (results[1]["error"]["code"], results[1]["error"]["param"]) == ("text_empty", "text")
    assert results[3]["error"]["param"] == "surprise"
    assert await api.index.count() == 2


async def test_deleting_and_what_is_not_there(api: Api) -> None:
    stored = await api.add(text="gone soon")
    assert (await api.http.delete(f"/v1/items/{stored['id']}")).json() == {"id": stored["id"], "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/image"), ("GET", "/thumbnail")):
        answer = await api.http.request(method, f"/v1/items/{stored['id']}{path}")
        assert answer.status_code == 404
        assert answer.json()["error"]["param"] == "id"
    assert await api.ids(text="gone soon") == []


async def test_a_text_has_no_image(api: Api) -> None:
    stored = await api.add(text="words only")
    answer = await api.http.get(f"/v1/items/{stored['id']}/image")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_image")


async def test_lookup_says_which_are_stored(api: Api) -> None:
    for id in ("a", "b"):
        await api.add(id=id, text=id)
    answer = (await api.http.post("/v1/items/lookup", json={"ids": ["b", "zz", "a", "b"]})).json()
    assert answer["existing"] == ["b", "a", "b"]
    assert answer["fingerprint"] == api.encoder.info.contract.fingerprint


async def test_pages_walk_all_items_once(api: Api) -> None:
    names = [f"n{number}" for number in range(7)]
    await api.http.post("/v1/items", json={"items": [{"id": name, "text": name} for name in names]})
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await api.http.get("/v1/items", params={"after": after, "limit": 3})).json()
        assert page["count"] == 7
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
    assert seen == names


async def test_a_vector_is_stored_as_it_is_and_not_encoded(api: Api) -> None:
    info = api.encoder.info
    vector = np.arange(1, info.dim + 1, dtype=np.float32)
    sent = (vector / np.linalg.norm(vector)).tolist()
    await api.add(id="imported", text="said elsewhere", vector=sent, fingerprint=info.contract.fingerprint)
    assert api.encoder.forwards == []  # type: ignore[attr-defined]
    got = (await api.http.get("/v1/items/imported", params={"vectors": True})).json()
    np.testing.assert_allclose(got["vector"], sent, atol=1e-6)


async def test_a_vector_of_another_contract_is_refused(api: Api, picture: Picture) -> None:
    vector = [1.0] + [0.0] * (api.encoder.info.dim - 1)
    body = {"image": b64(picture()), "vector": vector, "fingerprint": "0123456789abcdef"}
    answer = await api.http.post("/v1/items", json=body)
    assert answer.status_code == 409
    assert answer.json()["error"]["param"] == "fingerprint"
    assert api.encoder.info.contract.fingerprint in answer.json()["error"]["message"]
    assert await api.index.count() == 0
    assert api.files() == []


class LaggingIndex(MemoryIndex):
    """What another replica over a Milvus server wrote: not read by id until this one catches up."""

    has_caught_up = True

    async def catch_up(self) -> None:
        self.has_caught_up = True

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        return await super().get(ids) if self.has_caught_up else [None for _ in ids]


async def test_an_item_that_another_retriever_just_acknowledged_is_there(tmp_path: Path, picture: Picture) -> None:
    index = LaggingIndex(FakeEncoder().info.dim)
    async with running(tmp_path / "media", index=index) as api:
        await api.add(id="new", image=b64(picture("red")))
        for path in ("/v1/items/new", "/v1/items/new/image"):
            index.has_caught_up = False
            assert (await api.http.get(path)).status_code == 200
        index.has_caught_up = False
        assert (await api.http.delete("/v1/items/new")).is_success
        assert await index.count() == 0
        assert (await api.http.delete("/v1/items/new")).status_code == 404
