"""Every encoder that `test_encoders.py` holds to the contract. Add a factory here, and nothing there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from encoders import Encoder
from encoders.registry import load_encoder
from tests.tiny.dual_tower import build_tiny_dual_tower
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl

EncoderFactory = Callable[[Path], Encoder]
"""From the starter's cache folder, or any folder to write to, to a loaded encoder."""


def fake(_: Path) -> Encoder:
    return load_encoder("fake", dim=32)


def starter(cache: Path) -> Encoder:
    return load_encoder("starter", cache_dir=cache)


def qwen3_vl_instruct(folder: Path) -> Encoder:
    return load_encoder("qwen3-vl", model=str(build_tiny_qwen3_vl(folder / "tiny-instruct", "instruct")), device="cpu")


def qwen3_vl_embedding(folder: Path) -> Encoder:
    # One instruction for both roles: only training makes two of them mean one space, and these weights are random.
    model = str(build_tiny_qwen3_vl(folder / "tiny-embedding"))
    return load_encoder("qwen3-vl", model=model, device="cpu", query_instruction="Represent the user's input.")


def dual_tower_clip(folder: Path) -> Encoder:
    return load_encoder("dual-tower", model=str(build_tiny_dual_tower(folder / "tiny-clip", "clip")), device="cpu")


def dual_tower_siglip2(folder: Path) -> Encoder:
    return load_encoder(
        "dual-tower", model=str(build_tiny_dual_tower(folder / "tiny-siglip2", "siglip2")), device="cpu"
    )


FACTORIES: dict[str, EncoderFactory] = {
    "fake": fake,
    "starter": starter,
    "qwen3-vl-instruct": qwen3_vl_instruct,
    "qwen3-vl-embedding": qwen3_vl_embedding,
    "dual-tower-clip": dual_tower_clip,
    "dual-tower-siglip2": dual_tower_siglip2,
}
