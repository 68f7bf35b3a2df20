"""The vector contract: everything that decides what a vector means.

Two vectors may be compared only when the contracts that made them are equal. The fingerprint travels with the
vectors: in the index, in the cache key, in a response header and in `/v1/models`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import lru_cache

from encoders.errors import ContractMismatch


@dataclass(frozen=True, slots=True)
class VectorContract:
    """Every choice that changes the numbers. Text fields are compared as they stand."""

    model: str
    """Checkpoint id, or the name of a built-in encoder."""
    revision: str
    """Commit or version of the weights."""
    dim: int
    """Columns of a vector."""
    pooling: str
    """How token states become one vector: `mean`, `last-token`, `conse`, …"""
    template: str
    """Instruction or chat template, one string for both roles; long ones are given by hash."""
    pixels: str
    """Pixel budget or input resolution of an image, as `min-max` or `height x width`."""
    preprocessing: int
    """Version of our own decoding and resizing code; raised when its output changes."""
    precision: str
    """fp32, bf16, fp16, int8, nf4."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits, equal exactly when every field is (up to a 64-bit collision)."""
        return _fingerprint(self)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> VectorContract:
        """The inverse of `to_json`. Raises TypeError or ValueError on anything else."""
        return cls(**json.loads(text))

    def require(self, found: VectorContract) -> None:
        """Raises ContractMismatch naming each field in which `found` differs from this one."""
        differing = tuple(
            (f.name, str(getattr(self, f.name)), str(getattr(found, f.name)))
            for f in fields(self)
            if getattr(self, f.name) != getattr(found, f.name)
        )
        if differing:
            raise ContractMismatch(differing)


@lru_cache(maxsize=64)
def _fingerprint(contract: VectorContract) -> str:
    """Each request asks for it, of the same few contracts."""
    return hashlib.sha256(contract.to_json().encode()).hexdigest()[:16]
