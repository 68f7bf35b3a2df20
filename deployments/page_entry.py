"""Who is let in to the web page where API keys are asked for: whoever typed one in at the page's form.

The browser keeps the key in a cookie until it is closed, and the cookie holds the key itself. So any ingress replica
can check it, nothing is kept or shared between them, and a key that is revoked or expires ends its sessions with the
next request. Each key lets in: the least of the scopes is read.

The cookie is `HttpOnly`, so that no script reads it; `SameSite=Strict`, so that a browser sends it for no other site's
page; `Secure` where the page came by https; and of the page's path alone. The page's pictures are below that path too,
and `PageRoute` has the API answer them, with the key as a header. Were they asked for under /v1, the cookie would have
to be one for all paths, and the API to tell a picture that the page shows from a call that somebody forged. As it is
the API takes no cookie at all, and is never sent one.

A browser tells ports of a host apart neither by a cookie nor by `SameSite`: where it says that a request comes of
another origin (`Sec-Fetch-Site`, W3C Fetch Metadata), the cookie does not count. Forms of others are `Admission`'s,
by their `Origin`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Scope

from deployments.audit import Audit
from deployments.errors import BadRequest, CrossrayError, TooLarge, Unauthorized, code_of
from deployments.keys.caller import Caller
from deployments.keys.guard import used_key
from deployments.keys.ring import KeyRing
from deployments.login_form import LoginForm
from deployments.render import error_response

COOKIE = "crossray_key"
CHINESE = "/zh"
LOG_IN, LOG_OUT = "login", "logout"
MAX_FORM_BYTES = 4096
FROM_OTHERS = frozenset({"cross-site", "same-site"})
NOT_FOR_THE_PAGE = frozenset({b"authorization", b"x-api-key", b"cookie"})


class PageEntry:
    """Stands before the page and its pictures, for one event loop."""

    def __init__(self, ring: KeyRing, path: str, clock: Callable[[], float] = time.time) -> None:
        """`path` is where the page is, without a slash at the end; below it at `zh` it is in Chinese."""
        self._ring = ring
        self._path = path
        self._clock = clock
        self._audit = Audit()

    async def enter(self, scope: Scope, receive: Receive) -> Scope | Response:
        """An HTTP request as it goes on, with the person's key in the place of the cookie; or what it is answered."""
        caller = Caller(None)
        state = scope.setdefault("state", {})
        try:
            if not await self._ring.asks_for_keys():
                return scope
            entered = await self._enter(Request(scope, receive), caller)
        except CrossrayError as error:
            state["error_code"] = code_of(error)
            entered = error_response(error)
        if isinstance(entered, Response):
            self._audit.ended(scope, caller, entered.status_code)
        return entered

    async def _enter(self, request: Request, caller: Caller) -> Scope | Response:
        path: str = request.scope["path"]
        form = self._form(path)
        asked = path.removeprefix(form.home)
        if request.method == "POST" and asked == LOG_IN:
            return await self._log_in(request, form, caller)
        if request.method == "POST" and asked == LOG_OUT:
            return self._forget(RedirectResponse(form.home, 303))
        text = _presented(request)
        if text is None and _is_for_a_person(request, asked):
            return form.response()
        if text is None:
            raise Unauthorized("log in at the page first", "Cookie", "api_key_missing")
        try:
            await used_key(self._ring, text, caller, self._clock)
        except Unauthorized as refusal:
            if not _is_for_a_person(request, asked):
                raise
            return self._forget(self._refused(request, form, refusal))
        if asked in (LOG_IN, LOG_OUT):
            return RedirectResponse(form.home, 303)
        return _with_key(request.scope, text)

    async def _log_in(self, request: Request, form: LoginForm, caller: Caller) -> Response:
        try:
            text = await _typed_in(request)
            if not text:
                raise Unauthorized("no API key was typed in", "key", "api_key_missing")
            await used_key(self._ring, text, caller, self._clock)
        except Unauthorized as refusal:
            return self._refused(request, form, refusal)
        response = RedirectResponse(form.home, 303)
        response.headers["Cache-Control"] = "no-store"
        secure = _came_by_https(request)
        response.set_cookie(COOKIE, text, path=self._path, secure=secure, httponly=True, samesite="strict")
        return response

    def _refused(self, request: Request, form: LoginForm, refusal: Unauthorized) -> Response:
        request.scope["state"]["error_code"] = refusal.code
        return form.response(refusal)

    def _form(self, path: str) -> LoginForm:
        english, chinese = f"{self._path}/", f"{self._path}{CHINESE}/"
        if path.startswith(chinese):
            return LoginForm("zh", chinese, other=english)
        return LoginForm("en", english, other=chinese)

    def _forget(self, response: Response) -> Response:
        response.delete_cookie(COOKIE, path=self._path, httponly=True, samesite="strict")
        return response


def _presented(request: Request) -> str | None:
    """The key that the browser keeps, where it may count."""
    if request.headers.get("sec-fetch-site") in FROM_OTHERS:
        return None
    return request.cookies.get(COOKIE) or None


def _is_for_a_person(request: Request, asked: str) -> bool:
    """Whether what answers is looked at, and not read by a script or shown as a picture."""
    if request.method not in ("GET", "HEAD"):
        return False
    return asked in ("", LOG_IN, LOG_OUT) or "text/html" in request.headers.get("accept", "")


def _came_by_https(request: Request) -> bool:
    """At the gateway, where there is one. Who says so falsely gets a cookie that their own browser keeps to itself."""
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return "https" in (request.scope["scheme"], forwarded)


async def _typed_in(request: Request) -> str:
    """The field `key` of the form. Raises TooLarge, BadRequest."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise TooLarge(f"the body is over the limit of {MAX_FORM_BYTES} bytes", "body")
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    except (ClientDisconnect, ValueError) as error:
        raise BadRequest("this is not what the form sends", "body") from error
    return fields.get("key", [""])[0].strip()


def _with_key(scope: Scope, key: str) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in NOT_FOR_THE_PAGE]
    return {**scope, "headers": [*headers, (b"authorization", b"Bearer " + key.encode("latin-1"))]}
