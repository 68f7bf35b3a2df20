"""The API over a media store in S3, and what it says while that does not answer."""

from __future__ import annotations

import base64
from typing import Any

from retrieval.media import UrlMedia
from tests.s3_server import BUCKET, S3Server
from tests.unit.deployments.conftest import Api, Picture, Start


def encoded(image: bytes) -> str:
    return base64.b64encode(image).decode()


async def refused(api: Api, method: str, path: str, **body: Any) -> None:
    """The call answers 503, with what does not answer."""
    answer = await api.http.request(method, path, **body)
    assert answer.status_code == 503, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("media_unavailable", "unavailable_error")
    assert f"s3://{BUCKET}" in error["message"]


async def test_while_s3_is_gone_nothing_is_acknowledged_and_then_all_goes_on(
    start: Start, picture: Picture, s3: S3Server
) -> None:
    red, blue = picture("red"), picture("blue")
    async with start(media=UrlMedia(f"s3://{BUCKET}/api", s3.options, 5.0)) as api:
        stored = await api.add(id="a", image=encoded(red))
        assert (await api.http.get("/v1/items/a/image")).content == red
        thumbnail = await api.http.get("/v1/items/a/thumbnail")
        assert thumbnail.status_code == 200
        s3.kill()
        await refused(api, "POST", "/v1/items", json={"id": "b", "image": encoded(blue)})
        await refused(api, "POST", "/v1/items", json={"image": encoded(blue)})
        for file in ("image", "thumbnail"):
            await refused(api, "GET", f"/v1/items/a/{file}")
        assert (await api.http.get("/v1/items")).json()["count"] == 1
        assert await api.ids(text="red") == [stored["id"]], "searches need no files"
        await api.add(id="words", text="nor do texts")
        s3.start()
        await api.add(id="b", image=encoded(blue))
        assert (await api.http.get("/v1/items/b/image")).content == blue
        assert (await api.http.delete("/v1/items/b")).status_code == 200
        assert (await api.http.get("/v1/items/b/image")).status_code == 404


async def test_a_batch_is_sent_again_as_a_whole(start: Start, picture: Picture, s3: S3Server) -> None:
    async with start(media=UrlMedia(f"s3://{BUCKET}/api", s3.options, 5.0)) as api:
        s3.kill()
        batch = {"items": [{"id": "a", "image": encoded(picture("red"))}]}
        await refused(api, "POST", "/v1/items", json=batch)
