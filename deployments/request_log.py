"""A line for each answer of the ingress: at WARNING where it failed or was slow, else at INFO."""

from __future__ import annotations

import logging

from starlette.types import Scope

from deployments.logs import SHOWN_CHARS
from deployments.stages import Stages

log = logging.getLogger(__name__)


def log_answer(scope: Scope, status: int, stages: Stages, slow_s: float) -> None:
    """`slow_s` is from when on an answer is slow. The path is the caller's, and is cut."""
    level = logging.WARNING if status >= 500 or stages.total_s >= slow_s else logging.INFO
    if log.isEnabledFor(level):
        fields = {
            "method": scope["method"],
            "path": scope["path"][:SHOWN_CHARS],
            "operation": scope["state"].get("operation", "unrouted"),
            "status": status,
            "stages_ms": stages.milliseconds(),
        }
        log.log(level, "answered", extra=fields)
