"""Encoders, rerankers and query structurers by name.

The tables import nothing: a model's module is imported when the model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from encoders.base import Encoder
from encoders.errors import ModelUnavailable
from encoders.queries.base import QueryStructurer
from encoders.reranking import Reranker


@dataclass(frozen=True, slots=True)
class Registered:
    """Where a model comes from: `factory` is `module:callable`, `extra` the optional extra that it needs, if any."""

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

RERANKERS: dict[str, Registered] = {
    "fake-reranker": Registered(
        "encoders.fake_reranker:FakeReranker", None, "No model: words and colours in common. For tests."
    ),
    "qwen3-vl-reranker": Registered(
        "encoders.qwen3_vl.reranker:load_qwen3_vl_reranker",
        "qwen",
        "Qwen3-VL-Reranker: pointwise, text and image documents, from a local checkpoint.",
    ),
}

STRUCTURERS: dict[str, Registered] = {
    "fake-structurer": Registered(
        "encoders.queries.fake:FakeStructurer", None, "No model: a query's last words. For tests."
    ),
    "qwen3-vl-structurer": Registered(
        "encoders.qwen3_vl.query_structurer:load_qwen3_vl_structurer",
        "qwen",
        "Qwen3-VL-Instruct reads what a query asks for, from a local checkpoint: `queries.rewrite: model`.",
    ),
}


def load_encoder(name: str, **options: Any) -> Encoder:
    """The encoder called `name`, loaded with its own keyword options.

    Raises ModelUnavailable for an unknown name, MissingExtra where its packages are not installed, and TypeError for
    an option it does not have.
    """
    encoder: Encoder = _load(ENCODERS, "encoder", name, options)
    return encoder


def load_reranker(name: str, **options: Any) -> Reranker:
    """The reranker called `name`, loaded with its own keyword options. Raises as `load_encoder` does."""
    reranker: Reranker = _load(RERANKERS, "reranker", name, options)
    return reranker


def load_structurer(name: str, **options: Any) -> QueryStructurer:
    """The query structurer called `name`, loaded with its own keyword options. Raises as `load_encoder` does."""
    structurer: QueryStructurer = _load(STRUCTURERS, "query structurer", name, options)
    return structurer


def _load(table: dict[str, Registered], kind: str, name: str, options: dict[str, Any]) -> Any:
    if name not in table:
        raise ModelUnavailable(f"there is no {kind} called {name!r}: choose one of {', '.join(sorted(table))}")
    module, factory = table[name].factory.split(":")
    return getattr(import_module(module), factory)(**options)
