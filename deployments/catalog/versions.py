"""What the catalog knows of a version and of a collection."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from encoders import VectorContract
from retrieval.open import Backend

State: TypeAlias = Literal["building", "swapping", "ready", "live", "retired", "dropping"]
"""`ready` was built and is not live yet; `retired` was, and is kept until it is told to go."""
UNDER_WAY: tuple[State, ...] = ("building", "swapping")

DEFAULT = "default"
"""The collection that is always there."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

VIEW_S = 1.0
"""How old a view of the catalog may be for whoever answers from it."""
ANNOUNCE_S = VIEW_S + 0.25
"""After a commit and this, nobody writes who does not know of it."""
SWAP_S = 5.0
"""How long writers wait for a swap, at the most."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build is asked for."""

    min_recall: float = 0.95
    """Of the 10 nearest, on the probes: below it the version is left `ready`."""
    probes: int = 200
    keep: bool = True
    """Whether the version that was live before is kept."""
    swap: bool = True
    max_failed: int = 0
    """Items that could not be encoded; with more of them, the version is left `ready`."""


@dataclass(frozen=True, slots=True)
class Report:
    """How far a build is, and what its check found. None where it was not measured."""

    phase: str = "waiting"
    done: int = 0
    total: int = 0
    reused: int = 0
    """Vectors that were taken over."""
    failed: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    """The first ids that could not be encoded, and why."""
    recall: float | None = None
    agreement: float | None = None
    """Share of the 10 nearest that the version that was live finds, too."""
    probes: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Canary:
    """What the last look at a live version's recall found."""

    recall: float
    queries: int
    rows: int
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A version that is to be made. `fingerprint` and `dim` follow from the contract."""

    encoder: str
    contract: VectorContract
    backend: Backend
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the index, over those of the settings."""


@dataclass(frozen=True, slots=True)
class Version:
    """One index of a collection."""

    id: int
    collection: str
    encoder: str
    fingerprint: str
    contract_json: str
    dim: int
    backend: Backend
    place: str
    """The name of its folder, and the end of its name in Milvus."""
    options: Mapping[str, Any]
    state: State
    created_at: float
    changed_at: float
    build: BuildOptions
    report: Report
    canary: Canary | None

    @property
    def contract(self) -> VectorContract:
        return VectorContract.from_json(self.contract_json)

    @classmethod
    def of_row(cls, row: Any) -> Version:
        canary = json.loads(row.canary)
        report = json.loads(row.report)
        report["failures"] = tuple((id, reason) for id, reason in report.get("failures", ()))
        return cls(
            id=row.id,
            collection=row.collection,
            encoder=row.encoder,
            fingerprint=row.fingerprint,
            contract_json=row.contract,
            dim=row.dim,
            backend=row.backend,
            place=row.place,
            options=json.loads(row.options),
            state=row.state,
            created_at=row.created_at,
            changed_at=row.changed_at,
            build=BuildOptions(**json.loads(row.build)),
            report=Report(**report),
            canary=Canary(**canary) if canary else None,
        )


@dataclass(frozen=True, slots=True)
class Collection:
    """A name, and its versions from the oldest."""

    name: str
    created_at: float
    live: Version
    versions: tuple[Version, ...]

    @property
    def build(self) -> Version | None:
        """The version that is being built."""
        return next((version for version in self.versions if version.state in UNDER_WAY), None)


def as_json(value: BuildOptions | Report | Canary) -> str:
    return json.dumps(asdict(value))
