"""The HTML document that Gradio serves, with what is wrong for us put right: the language, and links that lead out.

Gradio writes `lang="en"`, links a manifest that is not there, names pictures on other sites for link previews, and
chooses the language of its own words by the browser's.
"""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page.words import Language

LOCALES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}
LEADS_OUT = re.compile(r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*|<link rel="manifest"[^>]*>\s*')
BROWSER_LANGUAGE = (
    "<script>for (const [name, value] of [['language', '{0}'], ['languages', ['{0}']]])"
    " Object.defineProperty(navigator, name, {{get: () => value}});</script>"
)

ICON = (
    "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M2 2l12 12M14 2L2 14' stroke='%231d4ed8' stroke-width='3'/%3E%3C/svg%3E\">"
)
"""Two rays that cross. Without it a browser asks the server for a favicon.ico."""


def mend_document(html: str, language: Language) -> str:
    """The document in its own language, with no link that leads out."""
    locale = LOCALES[language]
    html = LEADS_OUT.sub("", html).replace('lang="en"', f'lang="{locale}"', 1)
    return html.replace("<head>", f"<head>{ICON}{BROWSER_LANGUAGE.format(locale)}", 1)


class MendedDocument:
    """An ASGI app around Gradio's: answers that are HTML go through `mend_document`, all others as they come."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        """`path` is that of the English page; the Chinese one is at `zh` below it."""
        self._app = app
        self._chinese = f"{path}/zh/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        language: Language = "zh" if scope.get("path", "").startswith(self._chinese) else "en"
        held: Message | None = None
        html = b""

        async def send_mended(message: Message) -> None:
            nonlocal held, html
            if message["type"] == "http.response.start" and _is_html(message):
                held = message
            elif held is None:
                await send(message)
            else:
                html += message.get("body", b"")
                if message.get("more_body", False):
                    return
                body = mend_document(html.decode(), language).encode()
                MutableHeaders(scope=held)["content-length"] = str(len(body))
                await send(held)
                await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, send_mended)


def _is_html(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    return headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers
