"""Names of threads as the operating system shows them: `top -H` and /proc then tell encoding from serving."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

DEVICE = "device"
PREPARE = "prepare"
"""Threads that run a model's forward pass, and threads that decode, resize and tokenise for it."""


def name_this_thread(name: str) -> None:
    """At most 15 bytes are shown. Python names them so itself from 3.14 on; elsewhere than on Linux nothing is done."""
    with contextlib.suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name)
