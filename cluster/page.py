"""Whether the web page runs on a cluster under given settings, and where."""

from __future__ import annotations

from importlib.util import find_spec

from cluster.settings import Settings

PATH = "/ui"
EXTRA = "gradio"
"""The package of crossray[page]."""
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
"""What a host that means every address is called from the same machine."""


def page_obstacle(settings: Settings) -> str | None:
    """Why the page does not run, in words that follow "no web page: "; None where it does."""
    if not settings.page.enabled:
        return "page.enabled is off"
    if settings.ray.ingress != "direct":
        return "it needs ray.ingress: direct"
    return None if find_spec(EXTRA) else "pip install 'crossray[page]', or make up"


def page_runs(settings: Settings) -> bool:
    return page_obstacle(settings) is None


def api_url(settings: Settings) -> str:
    """The HTTP API as a process on this machine reaches it."""
    host = settings.http.host
    return f"http://{ANY_ADDRESS.get(host, host)}:{settings.http.port}"


def page_line(settings: Settings) -> str:
    """What `crossray up` says of the page."""
    obstacle = page_obstacle(settings)
    return f"the web page: {api_url(settings)}{PATH}/" if obstacle is None else f"no web page: {obstacle}"
