"""An inverted file on a GPU (`index_cpu_to_gpu`), beside the one in the machine's memory that it is a copy of.

Unfiltered searches go to the GPU. Filtered ones, and those that want more than it can select, go to the host's: FAISS
selects rows on the host only. Snapshots are of the host's. Needs a FAISS with CUDA, which takes the place of faiss-cpu.
Source: Johnson, Douze and Jégou, Billion-scale similarity search with GPUs, 2017.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.ivf import Ivf
from retrieval.embedded.library import load_faiss
from retrieval.embedded.proposer import Proposals, found_only
from retrieval.errors import IndexUnavailable

GPU_TYPES = ("ivf-flat", "ivf-sq8")
MAX_SELECTED = 2_048
"""Neighbours, and lists, that FAISS's kernels select at the most."""


def missing_for_gpu() -> str | None:
    """Why no index can be on a GPU here, with what to do; None where one can."""
    faiss = load_faiss()
    if not hasattr(faiss, "StandardGpuResources"):
        return (
            "this FAISS is built for CPUs: pip install 'crossray[gpu]', and then "
            "pip install --no-deps --force-reinstall faiss-gpu-cu12, for the two overwrite each other"
        )
    if faiss.get_num_gpus() == 0:
        return "FAISS sees no GPU: look at nvidia-smi, and reserve one with index.scale.num_gpus"
    return None


def require_gpu(type: str | None) -> None:
    """Raises IndexUnavailable with the reason where the index type cannot be on a GPU here."""
    if type not in GPU_TYPES:
        raise IndexUnavailable(
            f"index.device is gpu, where FAISS has {' and '.join(GPU_TYPES)}, and no {type or 'flat'}"
        )
    if reason := missing_for_gpu():
        raise IndexUnavailable(f"index.device is gpu, and {reason}")


def to_first_gpu(index: Any) -> Any:
    """FAISS's index, copied there. It keeps the resources alive that it works with."""
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    copy = faiss.index_cpu_to_gpu(resources, 0, index)
    copy.crossray_resources = resources
    return copy


class GpuIvf(Ivf):
    """`index` stays FAISS's for the host; what `to_device` makes of it is searched."""

    def __init__(
        self, index: Any, efforts: NDArray[np.int64] | None = None, to_device: Callable[[Any], Any] = to_first_gpu
    ) -> None:
        super().__init__(index, efforts)
        self._to_device = to_device
        self._device: Any = None
        # Neither FAISS's indexes on GPUs nor the memory that they share are safe for several threads.
        self._lock = threading.Lock()

    def _nearest(self, query: Vector, wanted: int, nprobe: int) -> Proposals:
        if max(wanted, nprobe) > MAX_SELECTED:
            return super()._nearest(query, wanted, nprobe)
        return found_only(self._search_device(query[None], wanted, nprobe)[0], None)

    def find(self, queries: Vector, top_k: int, effort: int) -> NDArray[np.int64]:
        wanted = self.wanted(top_k)
        if max(wanted, effort) > MAX_SELECTED:
            return super().find(queries, top_k, effort)
        return self._search_device(queries, wanted, effort)

    def _search_device(self, queries: Vector, wanted: int, effort: int) -> NDArray[np.int64]:
        parameters = load_faiss().SearchParametersIVF(nprobe=effort)
        with self._lock:
            if self._device is None:  # the first search after it was built or loaded
                self._device = self._to_device(self.index)
            _, found = self._device.search(queries, wanted, params=parameters)
        return np.asarray(found, dtype=np.int64)

    def add(self, rows: Vector, prepared: NDArray[np.int64]) -> None:
        super().add(rows, prepared)
        with self._lock:
            if self._device is not None:
                self._device.add(np.ascontiguousarray(rows))

    def describe(self) -> str:
        return f"{super().describe()} on a GPU"
