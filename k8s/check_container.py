"""What `check_image.sh` runs inside the image to see what `docker run` would give: the image's own command with its own
variables, the key that it prints, the page, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

READY_TIMEOUT_S = 400
KEY = re.compile(r"the first API key, of scope admin, shown this once:\s+(\S+)")
SLOW_MACHINE = {"RAY_raylet_start_wait_time_s": "180"}


def main(config_file: Path) -> None:
    config: dict[str, Any] = json.loads(config_file.read_text(encoding="utf-8"))["OCIv1"]["config"]
    variables = dict(one.split("=", 1) for one in config["Env"])
    os.environ.update(variables | SLOW_MACHINE)
    api = f"http://127.0.0.1:{variables['CROSSRAY_HTTP__PORT']}"
    say("a user that is not root", os.getuid() > 0 and config["User"].split(":")[0] == str(os.getuid()))
    say("the port that the image names", f"{variables['CROSSRAY_HTTP__PORT']}/tcp" in config["ExposedPorts"])
    container = Container(config["Cmd"])
    say(" ".join(config["Cmd"]), container.wait_until(f"{api}/health/ready"), container.said())
    (key,) = KEY.findall(" ".join(container.said().split()))
    say("the API refuses who has no key", call(f"{api}/v1/models")[0] == 401)
    status, stored = call(f"{api}/v1/items", {"text": "a cat asleep"}, key)
    say("the printed key stores", status == 201, str(stored))
    status, found = call(f"{api}/v1/search", {"text": "a cat asleep", "target": "any"}, key)
    say("what was stored is found", [hit["id"] for hit in found["hits"]] == [stored["id"]], str(found))
    status, page = call(f"{api}/ui/")
    say("the page asks for a key", status == 200 and "password" in page, f"{status} {page[:500]}")
    status = subprocess.run(["crossray", "status", "--json"], capture_output=True, text=True, check=False).returncode  # noqa: S607
    say("crossray status inside", status == 0)
    say("it ends when it is told", container.end() == 0, container.said())


class Container:
    """The image's command, and all that it said."""

    def __init__(self, command: list[str]) -> None:
        self._lines: list[str] = []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)

    def said(self) -> str:
        return "".join(self._lines)

    def wait_until(self, url: str) -> bool:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if call(url)[0] == 200 and "ready at" in self.said():
                return True
            time.sleep(1)
        return False

    def end(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


def call(url: str, body: Any = None, key: str = "") -> tuple[int, Any]:
    headers = {"Content-Type": "application/json", "Accept": "text/html, application/json"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            status, content = int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        status, content = error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content


def say(what: str, true: bool, otherwise: str = "") -> None:
    sys.stdout.write(f"{'ok    ' if true else 'FAILED'} {what}\n")
    sys.stdout.flush()
    if not true:
        sys.exit(otherwise or 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
