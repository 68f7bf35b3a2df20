"""What an encoder itself costs, without any server: the CPU of preparing and encoding the same inputs here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cluster.settings import load_settings
from encoders import Encoder, EncoderInput, Role, encode
from encoders.registry import load_encoder

BLOCKS = 7
BLOCK_S = 0.15


def encoder_options(name: str) -> dict[str, Any]:
    """The options an encoder needs to run outside a cluster."""
    return {"cache_dir": str(load_settings().cache_dir)} if name == "starter" else {}


def open_encoder(name: str) -> Encoder:
    return load_encoder(name, **encoder_options(name))


def cpu_ms_per_item(encoder: Encoder, make: Callable[[], EncoderInput], role: Role, batch_size: int) -> float:
    """CPU milliseconds an item, all threads of this process, in batches of `batch_size`: the median of blocks.

    Making the inputs is not counted.
    """
    blocks = []
    encode(encoder, [make()], role)
    for _ in range(BLOCKS):
        used, count = 0.0, 0
        while used < BLOCK_S:
            items = [make() for _ in range(batch_size)]
            started = time.process_time()
            encode(encoder, items, role).unwrap()
            used += time.process_time() - started
            count += batch_size
        blocks.append(used / count * 1000)
    return float(np.median(blocks))
