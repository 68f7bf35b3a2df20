"""A rule of Prometheus, as it stands in a rule file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["page", "ticket"]
"""Somebody is to act now, or in working hours."""


@dataclass(frozen=True, slots=True)
class Record:
    """An expression that is computed at every evaluation, under a name of its own."""

    name: str
    expr: str

    def content(self) -> dict[str, Any]:
        return {"record": self.name, "expr": self.expr}


@dataclass(frozen=True, slots=True)
class Alert:
    """Fires while its expression has had a result for `wait`. Each result's labels are the alert's."""

    name: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    does: str
    """What to look at, and what helps."""
    labels: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": self.wait,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {"summary": self.summary, "description": self.does},
        }


Rule: TypeAlias = Record | Alert
