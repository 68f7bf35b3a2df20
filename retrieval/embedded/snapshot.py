"""The search structure on disk, for a fast start. It is only a copy: what is stale, torn or foreign is ignored.

One uncompressed `.npz`, whose members carry checksums. It names a token that is also written into SQLite: an index
folder put together from two backups is recognised.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.durable import replacing
from retrieval.embedded.building import build_key, restore_proposer
from retrieval.embedded.proposer import Proposer

if TYPE_CHECKING:
    from retrieval.open import EmbeddedOptions

FORMAT = 2
"""In those of before, which name none, labels may be of other rows: of structures that were built beside deletes."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Rows by slot, the version of each, and its label in the approximate structure, where there was one.

    `target_recall` is what that one was tuned for.
    """

    token: str
    seqs: NDArray[np.int64]
    matrix: Vector
    labels: NDArray[np.int64]
    proposer: Proposer | None
    target_recall: float


def save_snapshot(path: Path, snapshot: Snapshot, options: EmbeddedOptions) -> None:
    """Atomic and durable. `options` are those that it was built under. Raises OSError where there is no room."""
    members: dict[str, NDArray[np.generic]] = {
        "format": np.array(FORMAT),
        "token": np.array(snapshot.token),
        "seqs": snapshot.seqs,
        "matrix": snapshot.matrix,
    }
    if snapshot.proposer is not None:
        members["build"] = np.array(build_key(options))
        members["structure"] = snapshot.proposer.serialized()
        members["target_recall"] = np.array(snapshot.target_recall)
        members["efforts"] = snapshot.proposer.efforts
        members["labels"] = snapshot.labels
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **members)


def load_snapshot(path: Path, token: str, dim: int, options: EmbeddedOptions) -> Snapshot | None:
    """The snapshot named by `token`, or None where there is no such thing or it cannot be read.

    Without its approximate structure where that is not the one that `options` ask for.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            if str(members["token"]) != token or int(members["format"]) != FORMAT:
                return None
            seqs, matrix = members["seqs"], members["matrix"]
            if matrix.shape != (len(seqs), dim) or matrix.dtype != np.float32:
                return None
            labels, proposer, target_recall = np.empty(0, dtype=np.int64), None, options.target_recall
            if "build" in members and str(members["build"]) == build_key(options):
                labels, target_recall = members["labels"], float(members["target_recall"])
                proposer = restore_proposer(options, members["structure"], members["efforts"])
                if len(labels) != len(seqs) or labels.max(initial=-1) >= proposer.count:
                    return None
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return None
    return Snapshot(token, seqs, matrix, labels, proposer, target_recall)
