"""What the ingress counts of answers, and that the table of metrics holds together."""

from __future__ import annotations

import re
from collections import Counter as Tally
from typing import Any

import pytest

from deployments.errors import BadRequest, Forbidden, NotFound, Overloaded, TooLarge, Unavailable
from deployments.metrics import METRICS
from deployments.stages import Stages

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, when it is imported


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, tuple[str, ...]]]:
    from ray.util.metrics import Metric

    seen: list[tuple[str, float, tuple[str, ...]]] = []
    monkeypatch.setattr(
        Metric, "_record", lambda self, value, tags: seen.append((self.info["name"], value, tuple(tags.values())))
    )
    return seen


def test_rejections_are_counted_by_reason_and_are_errors_too(recorded: list[Any]) -> None:
    from deployments.recorders import IngressMetrics

    metrics = IngressMetrics()
    recorded.clear()
    errors = [Overloaded("full"), TooLarge("much"), Forbidden("no", code="host_not_allowed")]
    for error in (
        *errors,
        Overloaded("full", code="rate_limited"),
        BadRequest("what"),
        NotFound("it"),
        Unavailable("x"),
    ):
        metrics.error("search", error)
    rejected = Tally(labels for name, _, labels in recorded if name == "crossray_rejected_requests")
    assert set(rejected) == {("overloaded",), ("body_too_large",), ("host_not_allowed",), ("rate_limited",)}
    assert sum(name == "crossray_errors" for name, _, _ in recorded) == 7


def test_an_answer_is_counted_with_its_stages(recorded: list[Any]) -> None:
    from deployments.recorders import IngressMetrics

    metrics, stages = IngressMetrics(), Stages()
    for name in ("read", "encode", "read"):
        stages.lap(name)
    recorded.clear()
    metrics.answered("search", 503, stages)
    assert [(name, labels) for name, _, labels in recorded] == [
        ("crossray_request_seconds", ("search", "5xx")),
        ("crossray_stage_seconds", ("search", "read")),
        ("crossray_stage_seconds", ("search", "encode")),
    ]
    assert sum(value for name, value, _ in recorded if name.endswith("stage_seconds")) == pytest.approx(stages.total_s)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_definitions_are_as_prometheus_wants_them(metric: Any) -> None:
    """Source: https://prometheus.io/docs/practices/naming/ and what Ray adds."""
    assert re.fullmatch(r"crossray_[a-z0-9]+(_[a-z0-9]+)*", metric.name)
    assert not metric.name.endswith(("_total", "_bucket", "_sum", "_count")), "an exporter adds these"
    if metric.unit in ("seconds", "bytes"):
        assert f"_{metric.unit}" in metric.name
    assert metric.help.endswith(".")
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(metric.buckets)
    # Serve's and Ray's own labels; `route` made Ray's counter raise.
    taken = {
        "deployment",
        "replica",
        "application",
        "route",
        "WorkerId",
        "NodeAddress",
        "SessionName",
        "le",
        "instance",
    }
    assert not taken & set(metric.labels)
