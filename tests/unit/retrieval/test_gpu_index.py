"""The index on a GPU as far as it can be tested without one: what is refused, and that one thread at a time uses it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from embedded_records import open_at, vectors

from cluster.doctor import examine
from cluster.errors import SettingsError
from cluster.settings import load_settings
from retrieval.embedded.gpu import GpuIvf, missing_for_gpu, require_gpu
from retrieval.embedded.ivf import Ivf, train_ivf
from retrieval.errors import IndexUnavailable
from retrieval.open import IndexType

without_gpu = pytest.mark.skipif(missing_for_gpu() is None, reason="there is a GPU here: nothing is refused")


@without_gpu
async def test_opening_is_refused_with_the_reason_and_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailable, match=r"index\.device is gpu, and .*(pip install 'crossray\[gpu\]'|no GPU)"):
        open_at(tmp_path / "index", device="gpu")
    assert not (tmp_path / "index").exists()


def test_a_build_for_gpus_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0, raising=False)
    with pytest.raises(IndexUnavailable, match="FAISS sees no GPU: look at nvidia-smi"):
        require_gpu("ivf-sq8")


@pytest.mark.parametrize("type", ["hnsw", None])
def test_types_that_faiss_does_not_have_on_gpus_are_refused(type: IndexType | None) -> None:
    with pytest.raises(IndexUnavailable, match=f"and no {type or 'flat'}"):
        require_gpu(type)


def test_the_settings_refuse_them_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_INDEX__DEVICE", "gpu")
    assert load_settings().index.embedded_options.device == "gpu"
    monkeypatch.setenv("CROSSRAY_INDEX__TYPE", "hnsw")
    with pytest.raises(SettingsError, match="device: gpu goes with"):
        load_settings()


@without_gpu
def test_the_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(tmp_path))
    assert not [check for check in examine(load_settings()) if check.name == "index.device"]
    monkeypatch.setenv("CROSSRAY_INDEX__DEVICE", "gpu")
    (check,) = [check for check in examine(load_settings()) if check.name == "index.device"]
    assert (check.status, check.detail) == ("wrong", missing_for_gpu())


class Device:
    """A copy on the host that, like one on a GPU, takes one thread at a time and no selector."""

    def __init__(self, index: Any) -> None:
        self.index = faiss.clone_index(index)
        self.searches = 0
        self._busy = threading.Lock()

    def search(self, queries: Any, wanted: int, params: Any) -> Any:
        assert params.sel is None
        assert self._busy.acquire(blocking=False), "two threads at once"
        try:
            self.searches += 1
            time.sleep(1e-4)
            return self.index.search(queries, wanted, params=params)
        finally:
            self._busy.release()

    def add(self, rows: Any) -> None:
        self.index.add(rows)


def test_it_finds_what_the_host_finds_from_many_threads() -> None:
    rows, queries = vectors(2000), vectors(64, seed=9)
    devices: list[Device] = []

    def to_device(index: Any) -> Device:
        devices.append(Device(index))
        return devices[-1]

    efforts = np.array([3, 9, 20])
    trained = train_ivf(rows, len(rows), holds_codes=True)
    on_gpu, on_host = GpuIvf(trained, efforts, to_device), Ivf(faiss.clone_index(trained), efforts)
    for first, last in ((0, 1500), (1500, 2000)):  # the second part comes when the copy is there
        for index in (on_gpu, on_host):
            index.add(rows[first:last], index.prepare(rows[first:last]))
        with ThreadPoolExecutor(8) as pool:
            for top_k in (10, 300):
                found = pool.map(lambda query, top_k=top_k: on_gpu.propose(query, top_k, None), queries)
                for query, labels in zip(queries, found, strict=True):
                    np.testing.assert_array_equal(labels[0], on_host.propose(query, top_k, None)[0])
    (device,) = devices
    assert device.searches == 4 * len(queries)
    allowed = np.arange(2000) % 3 == 0
    for arguments in ((10, allowed), (1000, None)):  # selected rows, and more than a GPU selects: the host's
        selected, _ = on_gpu.propose(queries[0], *arguments)
        np.testing.assert_array_equal(selected, on_host.propose(queries[0], *arguments)[0])
    assert device.searches == 4 * len(queries)
    np.testing.assert_array_equal(on_gpu.find(queries, 10, 5), on_host.find(queries, 10, 5))
    np.testing.assert_array_equal(on_gpu.serialized(), on_host.serialized())
