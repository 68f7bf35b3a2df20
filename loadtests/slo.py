"""What a load test demands of its answers, and what of it was not met. Knows nothing of locust.

A 429 is neither a success nor an error: the server said at once that it is full, and when to come back. So it is
counted on its own, with a limit of its own, and its quick answers are not among the latencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

SEARCH_TEXT, SEARCH_IMAGE, UPLOAD, DELETE = "search by text", "search by image", "upload", "delete"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What came of the requests of one kind. Milliseconds are of all that were not shed, failed ones included."""

    answered: int = 0
    """Not shed: succeeded or failed."""
    failed: int = 0
    shed: int = 0
    """429."""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def error_ratio(self) -> float:
        return self.failed / self.answered if self.answered else 0.0

    @property
    def shed_ratio(self) -> float:
        return self.shed / (self.answered + self.shed) if self.shed else 0.0

    def as_row(self) -> dict[str, float]:
        return asdict(self) | {"error_ratio": self.error_ratio, "shed_ratio": self.shed_ratio}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each that is let pass. `Limits.option` says how a person sets one."""

    # Searches and errors as the objectives that the alerts watch (cluster/monitoring/objectives.py).
    text_p99_ms: float = 500.0
    image_p99_ms: float = 500.0
    upload_p99_ms: float = 2000.0
    error_ratio: float = 0.001
    shed_ratio: float = 0.01

    HELP = {  # noqa: RUF012  (annotated, it would be a field)
        "text_p99_ms": "most milliseconds that 99 of 100 searches by text may take",
        "image_p99_ms": "most milliseconds that 99 of 100 searches by image may take",
        "upload_p99_ms": "most milliseconds that 99 of 100 uploads may take",
        "error_ratio": "largest share of the requests of each kind that may fail (0.001 is one in a thousand)",
        "shed_ratio": "largest share of the requests of each kind that may be refused with 429",
    }

    @staticmethod
    def option(name: str) -> str:
        return f"--slo-{name.replace('_', '-')}"

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]

    def p99_of(self, endpoint: str) -> tuple[str, float] | None:
        """The limit's name and milliseconds; None for what has none."""
        name = {SEARCH_TEXT: "text_p99_ms", SEARCH_IMAGE: "image_p99_ms", UPLOAD: "upload_p99_ms"}.get(endpoint)
        return None if name is None else (name, getattr(self, name))


def violations(seen: Mapping[str, Endpoint], limits: Limits) -> list[str]:
    """What was not met, a sentence each; empty where all was. A test without an answer meets nothing."""
    if not any(endpoint.answered for endpoint in seen.values()):
        shed = sum(endpoint.shed for endpoint in seen.values())
        return [f"no request was answered{f'; {shed} were refused with 429' if shed else ''}"]
    found = []
    for name, endpoint in seen.items():
        p99 = limits.p99_of(name)
        if p99 is not None and endpoint.p99_ms > p99[1]:
            found.append(f"{name}: p99 is {endpoint.p99_ms:g} ms, over {p99[1]:g} ms ({Limits.option(p99[0])})")
        if endpoint.error_ratio > limits.error_ratio:
            found.append(
                f"{name}: {endpoint.failed} of {endpoint.answered} failed ({_percent(endpoint.error_ratio)}), "
                f"over {_percent(limits.error_ratio)} ({Limits.option('error_ratio')})"
            )
        if endpoint.shed_ratio > limits.shed_ratio:
            found.append(
                f"{name}: {endpoint.shed} of {endpoint.answered + endpoint.shed} were refused with 429 "
                f"({_percent(endpoint.shed_ratio)}), over {_percent(limits.shed_ratio)} ({Limits.option('shed_ratio')})"
            )
    return found


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
