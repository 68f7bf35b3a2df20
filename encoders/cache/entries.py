"""A vector as bytes in a store: a CRC-32 and the columns as little-endian float32.

The checksum covers the key too: what a damaged store gives for another key is not taken for this one's.
"""

from __future__ import annotations

import zlib

import numpy as np

from encoders.base import Vectors

CRC_BYTES = 4


def pack(key: bytes, vector: Vectors) -> bytes:
    """`4 + 4 * dim` bytes."""
    columns = vector.astype("<f4", copy=False).tobytes()
    return _checksum(key, columns) + columns


def unpack(key: bytes, data: object, dim: int) -> Vectors | None:
    """The vector `(dim,)` float32, read-only; None for anything but what `pack` wrote for this key and size."""
    if not isinstance(data, bytes) or len(data) != CRC_BYTES + 4 * dim:
        return None
    columns = data[CRC_BYTES:]
    if _checksum(key, columns) != data[:CRC_BYTES]:
        return None
    return np.frombuffer(columns, dtype="<f4").astype(np.float32, copy=False)


def _checksum(key: bytes, columns: bytes) -> bytes:
    return zlib.crc32(columns, zlib.crc32(key)).to_bytes(CRC_BYTES, "little")
