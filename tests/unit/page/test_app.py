"""The ASGI app that Gradio makes of it, in both languages."""

from __future__ import annotations

import re

import httpx
import pytest

from page.api import Api

pytest.importorskip("gradio", reason="the page is Gradio's")
ELSEWHERE = re.compile(r"""(?:src|href)=["']https?://|url\(["']?https?://|@import""")


async def test_each_language_is_served_and_fetches_nothing_from_elsewhere() -> None:
    from page.app import build_page

    app = build_page(Api("http://127.0.0.1:1"), "/ui")  # where a loop runs: Gradio would make one and leave it open
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http:
        for path, locale, word in (("/ui/", "en-US", "Retrieve"), ("/ui/zh/", "zh-CN", "检索")):
            answer = await http.get(path)
            assert answer.status_code == 200
            assert f'lang="{locale}"' in answer.text
            assert word in answer.text
            assert '"analytics_enabled":false' in answer.text
            assert ELSEWHERE.findall(answer.text) == []
            own = re.findall(r'(?:src|href)="\./(assets/[^"]+)"', answer.text)
            assert own
            for asset in (*own, "theme.css"):
                found = await http.get(path + asset)
                assert found.status_code == 200
                if asset.endswith("css"):
                    assert ELSEWHERE.findall(found.text) == []
