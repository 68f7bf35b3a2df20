"""What this process holds of its GPU's memory."""

from __future__ import annotations

import sys


def device_memory_bytes() -> dict[str, int]:
    """`allocated` by tensors, `reserved` by torch's allocator, `free` and `total` of the GPU; nothing without one.

    Source: `torch.cuda.memory_allocated`, `memory_reserved` and `mem_get_info`, of the current device.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {}
    free, total = torch.cuda.mem_get_info()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    return {"allocated": allocated, "reserved": reserved, "free": free, "total": total}
