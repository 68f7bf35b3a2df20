"""The search structure on disk, for a fast start. It is only a copy: what is stale, torn or foreign is ignored.

One uncompressed `.npz`, whose members carry checksums. It names a token that is also written into SQLite: an index
folder put together from two backups is recognised.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.durable import replacing
from retrieval.embedded.ivf import Ivf, load_faiss


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Rows by slot, the version of each, and the inverted file over them where there was one."""

    token: str
    seqs: NDArray[np.int64]
    matrix: Vector
    ivf: Ivf | None


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Atomic and durable. Raises OSError where there is no room."""
    members: dict[str, NDArray[np.generic]] = {
        "token": np.array(snapshot.token),
        "seqs": snapshot.seqs,
        "matrix": snapshot.matrix,
    }
    if snapshot.ivf is not None:
        members["ivf"] = load_faiss().serialize_index(snapshot.ivf.index)
        members["nprobes"] = snapshot.ivf.nprobes
        members["built"] = snapshot.ivf.built
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **members)


def load_snapshot(path: Path, token: str, dim: int) -> Snapshot | None:
    """The snapshot named by `token`, or None where there is no such thing or it cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            if str(members["token"]) != token:
                return None
            seqs, matrix = members["seqs"], members["matrix"]
            if matrix.shape != (len(seqs), dim) or matrix.dtype != np.float32:
                return None
            ivf = None
            if "ivf" in members:
                index = load_faiss().deserialize_index(members["ivf"])
                ivf = Ivf(index, members["nprobes"], members["built"])
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None
    return Snapshot(token, seqs, matrix, ivf)
