"""Every encoder that `test_encoders.py` holds to the contract. Add a factory here, and nothing there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from encoders import Encoder
from encoders.registry import load_encoder

EncoderFactory = Callable[[Path], Encoder]
"""From the starter's cache folder, or any folder to write to, to a loaded encoder."""


def fake(_: Path) -> Encoder:
    return load_encoder("fake", dim=32)


def starter(cache: Path) -> Encoder:
    return load_encoder("starter", cache_dir=cache)


FACTORIES: dict[str, EncoderFactory] = {"fake": fake, "starter": starter}
