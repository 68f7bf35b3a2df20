"""Which approximate structure an index type means: an empty one to fill, and one read back from a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.gpu import GpuIvf
from retrieval.embedded.hnsw import Hnsw, new_hnsw
from retrieval.embedded.ivf import SAMPLE_PER_LIST, Ivf, lists_for, train_ivf
from retrieval.embedded.library import load_faiss
from retrieval.embedded.proposer import Proposer

if TYPE_CHECKING:
    from retrieval.open import EmbeddedOptions

HNSW_SAMPLE = 4_096


def proposer_name(options: EmbeddedOptions) -> str | None:
    """The type that is built above the flat limit; None where every row is compared at any size."""
    if options.type == "flat":
        return None
    return "ivf-sq8" if options.type == "auto" else options.type


def build_key(options: EmbeddedOptions) -> str | None:
    """What a structure must have been built under to be what these options ask for."""
    name = proposer_name(options)
    return f"hnsw-fp16, {options.hnsw_m}, {options.hnsw_ef_construction}" if name == "hnsw" else name


def sample_rows(options: EmbeddedOptions, rows: int) -> int:
    """How many rows `new_proposer` wants to see."""
    return min(rows, HNSW_SAMPLE if proposer_name(options) == "hnsw" else SAMPLE_PER_LIST * lists_for(rows))


def new_proposer(options: EmbeddedOptions, sample: Vector, rows: int) -> Proposer:
    """An empty one for `rows` rows, of which `sample` are some."""
    name = proposer_name(options)
    if name == "hnsw":
        return new_hnsw(sample.shape[1], options.hnsw_m, options.hnsw_ef_construction)
    return _ivf(options)(train_ivf(sample, rows, holds_codes=name == "ivf-sq8"))


def restore_proposer(options: EmbeddedOptions, serialized: NDArray[np.uint8], efforts: NDArray[np.int64]) -> Proposer:
    """One that `serialized` wrote under the same `build_key`. Raises RuntimeError where the bytes are none."""
    index = load_faiss().deserialize_index(serialized)
    return (Hnsw if proposer_name(options) == "hnsw" else _ivf(options))(index, efforts)


def _ivf(options: EmbeddedOptions) -> type[Ivf]:
    return GpuIvf if options.device == "gpu" else Ivf
