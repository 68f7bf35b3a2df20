"""For whom the page calls the API: the person whose event it handles just now, and nobody else.

The ingress puts a person's API key into each request's `Authorization`. Gradio handles events in tasks of its own, and
keeps the request that an event came with in the task's context, where even a call from deep inside a tab finds it. So
no handler can forget to pass a key on, and there is no place where one is kept.
"""

from __future__ import annotations

from gradio.context import LocalContext

PASSED_ON = ("authorization", "host")
"""The API is called by the name that the person called us by: it may serve no other."""


def caller_headers() -> dict[str, str]:
    """What goes along with a call to the API; nothing outside of an event."""
    request = LocalContext.request.get(None)
    if request is None:
        return {}
    return {name: request.headers[name] for name in PASSED_ON if name in request.headers}


def has_key() -> bool:
    """Whether the person gave a key, and may want to log out."""
    return caller_headers().get("authorization", "").startswith("Bearer ")
