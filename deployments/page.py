"""The Page deployment: the web page's app behind an HTTP server of its own, on a loopback port.

Its server runs in a thread with a loop of its own, so that Gradio can hold up neither the ingress nor Serve's checks of
this replica. Uploads reach it as a stream (a handle would take each as one message), which is why it listens at all.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.logs import follow_serve
from deployments.page_route import KEPT_BY_PAGE_S

START_S = 60


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the Page replica is told."""

    api_url: str
    """Of the HTTP API, as this process reaches it."""
    path: str
    """Where people see the page, without a slash at the end."""
    uploads_path: Path
    """A folder of the page's alone, emptied at each start: what people uploaded to search by."""


class PageDeployment:
    """The Serve side of the page. One replica: an upload and the search by it must reach the same one."""

    def __init__(self, options: PageOptions) -> None:
        follow_serve()
        shutil.rmtree(options.uploads_path, ignore_errors=True)
        options.uploads_path.mkdir(parents=True)
        os.environ["GRADIO_TEMP_DIR"] = str(options.uploads_path)  # Gradio takes it from nowhere else
        self._server = PageServer(options)

    async def address(self) -> str:
        """Where the page's own server listens, on this machine."""
        return self._server.url

    def check_health(self) -> None:
        """Serve replaces the replica when this raises."""
        if not self._server.runs:
            raise RuntimeError("the page's server has stopped")

    def __del__(self) -> None:
        self._server.close()


class PageServer:
    """A uvicorn server in a thread, on a free loopback port. Raises RuntimeError when it does not start."""

    def __init__(self, options: PageOptions) -> None:
        import uvicorn

        from page.api import Api
        from page.app import build_page
        from page.caller import caller_headers

        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app: Any = build_page(Api(options.api_url, caller=caller_headers), options.path)
        # The ingress stands in front: what it says of the browser is true.
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            forwarded_allow_ips="127.0.0.1",
            timeout_keep_alive=KEPT_BY_PAGE_S,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([self._socket],), name="page", daemon=True)
        self._thread.start()
        self._wait_started()

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        """Ends streams that are under way, and waits for the thread."""
        self._uvicorn.should_exit = self._uvicorn.force_exit = True
        self._thread.join(timeout=5)

    def _wait_started(self) -> None:
        for _ in range(START_S * 20):
            if self._uvicorn.started:
                return
            self._thread.join(timeout=0.05)
            if not self._thread.is_alive():
                break
        raise RuntimeError("the page's server did not start")
