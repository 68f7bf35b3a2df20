"""`crossray index-tune`: what each type of the embedded index finds and costs, on a collection's own vectors.

Some rows are held out as queries, the types are built over the rest, and each is given the lowest `target_recall` at
which it finds enough of the queries' nearest rows, by the same tuning that the index does when it builds. So a setting
that is recommended here is one that was measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cluster.errors import ClusterError
from cluster.transfer import vectors_of
from retrieval.base import Vector
from retrieval.embedded.building import new_proposer, proposer_name, sample_rows
from retrieval.embedded.comparing import nearest, pick
from retrieval.embedded.proposer import Proposer
from retrieval.embedded.reading import read_vectors
from retrieval.embedded.tuning import Probes, tune
from retrieval.open import EmbeddedOptions, IndexType
from retrieval.ranking import MARGIN, candidates

Advance: TypeAlias = Callable[[int], None]
Ask: TypeAlias = Callable[[Vector], NDArray[np.int64]]
"""The slots that may be among the best of a query, unordered."""

TOP_K = 10
MIN_ROWS = 2_000
TARGETS = (0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)
TYPES: tuple[IndexType, ...] = ("flat", "ivf-flat", "ivf-sq8", "hnsw")
LEANER = 0.5
"""An index that takes at most this share of the memory …"""
SLOWER = 2.0
"""… is recommended though it takes up to so many times as long, …"""
UNSEEN_MS = 0.5
"""… or no longer than this, which nobody sees behind the encoding of a query."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One type at one setting. `recall` is the share of the 10 nearest of the held-out rows that was found."""

    type: IndexType
    target_recall: float
    detail: str
    recall: float
    recall_between: float
    """The same for points halfway between two of them, which lie far from every row, as texts do among images."""
    p50_ms: float
    p99_ms: float
    build_s: float
    memory_mib: float
    """Beside the float32 rows, which every type keeps."""
    options: EmbeddedOptions = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tuning:
    rows: int
    dim: int
    queries: int
    wanted_recall: float
    measured: list[Measured]
    recommended: Measured | None
    """None where no type finds enough, which `flat` always does."""

    def to_json(self) -> dict[str, Any]:
        chosen = self.recommended
        return {
            **{name: getattr(self, name) for name in ("rows", "dim", "queries", "wanted_recall")},
            "measured": [asdict(one) for one in self.measured],
            "recommended": chosen.type if chosen else None,
            "settings": settings_for(chosen, self.rows) if chosen else {},
        }


def load_rows(source: Path, advance: Advance = lambda _: None) -> Vector:
    """Every vector of an export (a file) or of an index folder. Raises BadExport, IndexLocked, IncompatibleIndex."""
    return read_vectors(source, advance) if source.is_dir() else vectors_of(source, advance)


def only_index_below(folder: Path) -> Path:
    """The folder of the one embedded index of a data folder. Raises ClusterError where there is none, or several."""
    found = sorted(path.parent for path in folder.glob("*/index.sqlite"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise ClusterError(f"there is no embedded index below {folder}: name an index folder or an export")
    raise ClusterError(f"there are {len(found)} indexes below {folder}, name one: {', '.join(map(str, found))}")


def tune_index(
    rows: Vector,
    wanted_recall: float,
    *,
    options: EmbeddedOptions,
    types: Sequence[IndexType] = TYPES,
    queries: int = 200,
    advance: Advance = lambda _: None,
) -> Tuning:
    """Measures each type, built as `options` say. `advance` hears of rows built, about `len(rows)` a type but `flat`.

    Raises ClusterError.
    """
    if len(rows) < MIN_ROWS:
        raise ClusterError(
            f"there are {len(rows)} vectors: up to {MIN_ROWS} comparing with every row is the fastest, and is exact"
        )
    order = np.random.default_rng(0).permutation(len(rows))
    queries = min(queries, len(rows) // 10)
    asked, base = rows[order[:queries]], rows[np.sort(order[queries:])]
    between = asked + np.roll(asked, 1, axis=0)
    between /= np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-12)
    trial = _Trial(base, asked, between)
    measured = [
        trial.flat(options)
        if type == "flat"
        else trial.approximate(replace(options, type=type), wanted_recall, advance)
        for type in types
    ]
    return Tuning(len(rows), rows.shape[1], queries, wanted_recall, measured, recommend(measured, wanted_recall))


def recommend(measured: Sequence[Measured], wanted_recall: float) -> Measured | None:
    """The fastest that finds enough; or the leanest that takes at most half its memory and is hardly slower."""
    enough = [one for one in measured if one.recall >= wanted_recall]
    if not enough:
        return None
    fastest = min(enough, key=lambda one: one.p50_ms)
    slowest_ms = max(UNSEEN_MS, SLOWER * fastest.p50_ms)
    leaner = [one for one in enough if one.memory_mib <= LEANER * fastest.memory_mib and one.p50_ms <= slowest_ms]
    return min(leaner, key=lambda one: one.memory_mib, default=fastest)


def settings_for(chosen: Measured, rows: int) -> dict[str, str]:
    """The environment variables that make the index what was measured."""
    found: dict[str, str] = {"CROSSRAY_INDEX__TYPE": chosen.type}
    if chosen.type == "flat":
        return found
    found["CROSSRAY_INDEX__TARGET_RECALL"] = f"{chosen.target_recall:g}"
    if chosen.type == "hnsw":
        found["CROSSRAY_INDEX__HNSW_M"] = str(chosen.options.hnsw_m)
        found["CROSSRAY_INDEX__HNSW_EF_CONSTRUCTION"] = str(chosen.options.hnsw_ef_construction)
    if rows <= chosen.options.flat_limit:
        found["CROSSRAY_INDEX__FLAT_LIMIT"] = str(rows // 2)
    return found


class _Trial:
    """The rows that are searched, the queries, and their exact answers."""

    def __init__(self, base: Vector, asked: Vector, between: Vector) -> None:
        self._base = base
        self._queries = (asked, between)
        self._edges = [
            np.array([np.partition(base @ query, -TOP_K)[-TOP_K] for query in queries]) for queries in self._queries
        ]

    def flat(self, options: EmbeddedOptions) -> Measured:
        recalls, times = self._measure(lambda query: nearest(self._base, query, TOP_K))
        return Measured("flat", 1.0, "every row", *recalls, *times, 0.0, 0.0, replace(options, type="flat"))

    def approximate(self, options: EmbeddedOptions, wanted_recall: float, advance: Advance) -> Measured:
        begun = time.perf_counter()
        proposer, probes = self._build(options, advance)
        build_s = time.perf_counter() - begun
        unreachable = proposer.unreachable()

        def ask(query: Vector) -> NDArray[np.int64]:
            proposed, _ = proposer.propose(query, TOP_K, None)
            slots = np.concatenate([proposed, unreachable]) if len(unreachable) else proposed
            return np.asarray(slots[candidates(pick(self._base, query, slots), TOP_K)])

        for target_recall in TARGETS:
            tune(proposer, probes, target_recall, unreachable)
            recalls, times = self._measure(ask)
            if recalls[0] >= wanted_recall:
                break
        chosen = replace(options, target_recall=target_recall)
        mib = proposer.nbytes / 2**20
        return Measured(
            options.type, target_recall, proposer.describe(), *recalls, *times, round(build_s, 2), round(mib, 1), chosen
        )

    def _build(self, options: EmbeddedOptions, advance: Advance) -> tuple[Proposer, Probes]:
        base = self._base
        sampled = np.random.default_rng(0).permutation(len(base))[: sample_rows(options, len(base))]
        sample = base[np.sort(sampled)]
        proposer, probes = new_proposer(options, sample, len(base)), Probes(sample)
        for start in range(0, len(base), proposer.build_chunk):
            chunk = base[start : start + proposer.build_chunk]
            proposer.add(chunk, proposer.prepare(chunk))
            probes.see(chunk, start + np.arange(len(chunk)))
            advance(len(chunk))
        return proposer, probes

    def _measure(self, ask: Ask) -> tuple[tuple[float, float], tuple[float, float]]:
        """Recall of both kinds of queries; p50 and p99 in milliseconds of the held-out rows, one at a time."""
        recalls, times = [], []
        for queries, edges in zip(self._queries, self._edges, strict=True):
            found = 0
            for query, edge in zip(queries, edges, strict=True):
                begun = time.perf_counter()
                slots = ask(query)
                if queries is self._queries[0]:
                    times.append(time.perf_counter() - begun)
                # By score and not by slot: of rows that are alike, any is right.
                found += min(TOP_K, int(np.count_nonzero(self._base[slots] @ query >= edge - MARGIN)))
            recalls.append(round(found / (TOP_K * len(queries)), 4))
        p50, p99 = np.percentile(np.array(times) * 1e3, [50, 99])
        return (recalls[0], recalls[1]), (round(float(p50), 3), round(float(p99), 3))


def built_types(types: Sequence[IndexType]) -> Iterator[IndexType]:
    """Those that are built at all."""
    return (type for type in types if proposer_name(EmbeddedOptions(type)) is not None)
