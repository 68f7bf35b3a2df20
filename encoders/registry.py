"""Encoders by name. The table imports nothing: the module of an encoder is imported when that encoder is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from encoders.base import Encoder
from encoders.errors import ModelUnavailable


@dataclass(frozen=True, slots=True)
class Registered:
    """Where an encoder comes from: `factory` is `module:callable`, `extra` the optional extra that it needs, if any."""

    factory: str
    extra: str | None
    description: str


ENCODERS: dict[str, Registered] = {
    "fake": Registered(
        "encoders.fake:FakeEncoder", None, "No model: hashed words and colours. For tests and load tests."
    ),
    "starter": Registered(
        "encoders.starter:StarterEncoder",
        "starter",
        "Offline, from weights inside packages; English and Chinese. A small stand-in for Qwen3-VL.",
    ),
    "qwen3-vl": Registered(
        "encoders.qwen3_vl.encoder:load_qwen3_vl",
        "qwen",
        "Qwen3-VL-Embedding (trained for retrieval) or Qwen3-VL-Instruct (mean-pooled), from a local checkpoint.",
    ),
    "dual-tower": Registered(
        "encoders.dual_tower.encoder:load_dual_tower",
        "qwen",
        "CLIP, SigLIP or SigLIP 2, from a local checkpoint, with prompt templates.",
    ),
}


def load_encoder(name: str, **options: Any) -> Encoder:
    """The encoder called `name`, loaded with its own keyword options.

    Raises ModelUnavailable for an unknown name, MissingExtra where its packages are not installed, and TypeError for
    an option it does not have.
    """
    if name not in ENCODERS:
        raise ModelUnavailable(f"there is no encoder called {name!r}: choose one of {', '.join(sorted(ENCODERS))}")
    module, factory = ENCODERS[name].factory.split(":")
    encoder: Encoder = getattr(import_module(module), factory)(**options)
    return encoder
