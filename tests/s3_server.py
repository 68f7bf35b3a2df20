"""An S3 server in a process of its own, on loopback: moto's, which keeps all in memory."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

BUCKET = "pictures"
ACCESS = {"key": "test", "secret": "test"}
START_S = 30


class S3Server:
    """Started and ended with the block; may be killed and started again at the same port, empty."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, str]:
        """Of fsspec's file system s3."""
        return ACCESS | {"endpoint_url": f"http://127.0.0.1:{self.port}"}

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_S
        while True:
            try:
                assert self._answer("PUT", f"/{BUCKET}") == 200
                return
            except OSError:
                assert self._process.poll() is None, "the S3 server ended"
                assert time.monotonic() < until, "the S3 server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def clear(self) -> None:
        """Without buckets but the one, which is empty."""
        self._answer("POST", "/moto-api/reset")
        self._answer("PUT", f"/{BUCKET}")

    def _answer(self, method: str, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, headers={"Content-Length": "0"})
            return connection.getresponse().status
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
