"""What `crossray doctor` finds out about shared memory. A container gets 64 MiB of it unless it is asked for more."""

from __future__ import annotations

import shutil
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at only


def shared_memory_found(wanted_bytes: int) -> tuple[bool, str] | None:
    """Whether Ray's object store of this size fits, and how much there is; None on a system without a folder for it.
    Where it does not fit, Ray keeps it in files, which is slow, and says so in its own log alone."""
    if not SHARED_MEMORY.is_dir():
        return None
    size_bytes = shutil.disk_usage(SHARED_MEMORY).total
    sizes = f"{SHARED_MEMORY} holds {size_bytes / 2**20:.0f} MiB, of which Ray's object store may take"
    return size_bytes >= wanted_bytes, f"{sizes} {wanted_bytes / 2**20:.0f}"
