"""What the READMEs tell a reader to type, to be run as it stands there."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN_SERVER = "127.0.0.1:8000"
HONEST_CURL = 'curl() { command curl --fail-with-body --silent --show-error --noproxy "*" "$@"; }'


def blocks(path: Path, language: str = "") -> list[str]:
    """The fenced blocks of this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def curls(path: Path) -> list[str]:
    """Every curl command; one may have several lines."""
    return [
        command.strip()
        for block in blocks(path)
        for command in re.split(r"^(?=curl )", block, flags=re.MULTILINE)
        if command.startswith("curl ")
    ]


def run_curl(command: str, server: str, folder: Path) -> str:
    """Runs it in a folder that has its files, against this server. Returns what it printed; raises AssertionError
    for an HTTP error."""
    image = base64.b64encode((folder / "cat.jpg").read_bytes()).decode()
    script = f"{HONEST_CURL}\n{command.replace(SHOWN_SERVER, server).replace('<base64>', image)}"
    ran = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout
