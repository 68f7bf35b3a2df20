"""The form at which a person types in an API key: one HTML document without scripts, which fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Literal

from starlette.responses import HTMLResponse, Response

from deployments.errors import Unauthorized

Language = Literal["en", "zh"]
LOCALES: dict[Language, str] = {"en": "en-US", "zh": "zh-CN"}
WORDS: dict[str, dict[Language, str]] = {
    "title": {"en": "Crossray: log in", "zh": "登录 Crossray"},
    "label": {"en": "API key", "zh": "API 密钥"},
    "hint": {
        "en": "Whoever runs this server makes keys. This browser keeps yours until it is closed or you log out.",
        "zh": "密钥由服务器的管理员发放。浏览器只保存到关闭或退出登录为止。",
    },
    "button": {"en": "Log in", "zh": "登录"},
    "other": {"en": "中文", "zh": "English"},
    "api_key_missing": {"en": "Type in an API key.", "zh": "请输入 API 密钥。"},
    "api_key_unknown": {"en": "There is no such API key.", "zh": "没有这个 API 密钥。"},
    "api_key_expired": {"en": "This API key has expired.", "zh": "这个 API 密钥已过期。"},
    "api_key_revoked": {"en": "This API key has been revoked.", "zh": "这个 API 密钥已被撤销。"},
}
"""By what they are for; the last ones by the code of the refusal."""
STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC",
  "WenQuanYi Zen Hei", sans-serif; }
body { margin: 0; background: Canvas; color: CanvasText; }
main { box-sizing: border-box; max-width: 26rem; margin: 10vh auto 0; padding: 1rem; }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
h1 { margin: 0; font-size: 1.6rem; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input, button { box-sizing: border-box; width: 100%; padding: .6rem .8rem; border: 1px solid #64748b;
  border-radius: .5rem; font: inherit; }
button { border-color: #1d4ed8; background: #1d4ed8; color: #fff; cursor: pointer; }
input[aria-invalid] { border-color: #dc2626; }
:focus-visible { outline: 3px solid #60a5fa; outline-offset: 2px; }
.why { margin: 1rem 0 0; padding: .5rem .8rem; border-inline-start: 4px solid #dc2626; font-weight: 600; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Of the form alone: one style, an empty icon, and no script."""


@dataclass(frozen=True, slots=True)
class LoginForm:
    """The form in one language. `home` is the page in it, `other` the page in the other one, both with a slash."""

    language: Language
    home: str
    other: str

    def response(self, refusal: Unauthorized | None = None) -> Response:
        """The form as it is first shown; or again, as a 401 that says why."""
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        if refusal is not None:
            headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 11.6.1
        why = "" if refusal is None else self._words(str(refusal.code))
        return HTMLResponse(self._html(why), 200 if refusal is None else 401, headers)

    def _words(self, key: str) -> str:
        return escape(WORDS[key][self.language])

    def _html(self, why: str) -> str:
        home, other = escape(self.home), escape(self.other)
        others = LOCALES["zh" if self.language == "en" else "en"]
        alert = f'<p class="why" id="why" role="alert">{why}</p>' if why else ""
        invalid = ' aria-invalid="true"' if why else ""
        return (
            f'<!doctype html><html lang="{LOCALES[self.language]}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{self._words("title")}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>'
            f'<body><main><header><h1>Crossray</h1><a href="{other}" lang="{others}">{self._words("other")}</a>'
            f'</header>{alert}<form method="post" action="{home}login"><label for="key">{self._words("label")}</label>'
            '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus '
            f'aria-describedby="{"why " if why else ""}hint"{invalid}><p id="hint">{self._words("hint")}</p>'
            f"<button>{self._words('button')}</button></form></main></body></html>"
        )
