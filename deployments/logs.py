"""What a replica logs: lines of JSON in the file that Serve writes for it, each with the id of its request.

Serve gives its own logger a file, its format (JSON, in a cluster of ours) and a level. It does not do so for others: a
line of theirs goes to what was the standard error, and is lost at any level above INFO. Here our loggers get the same
file. A line is escaped to ASCII by its format, so that nothing that a caller sends begins a line or moves a cursor.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from deployments import request_ids
from deployments.stage_reports import ms_since

PACKAGES = ("cluster", "crossray", "deployments", "encoders", "page", "retrieval")
SERVE_LOGGER = "ray.serve"
SHOWN_CHARS = 200
"""Of what a caller chose, in a line."""


def follow_serve() -> None:
    """From now on what our packages log in this replica goes where Serve's own lines go, at the same level."""
    from ray import serve

    context = serve.get_replica_context()
    serves = logging.getLogger(SERVE_LOGGER)
    handler = ServeFile(serves, {"deployment": context.deployment, "replica": context.replica_tag})
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(serves.getEffectiveLevel())


class ServeFile(logging.Handler):
    """Hands records to the files behind Serve's handlers, past their buffers: a line is there when it was logged."""

    def __init__(self, serves: logging.Logger, fields: Mapping[str, str]) -> None:
        """`serves` is asked each time, since Serve replaces its handlers; `fields` are added to every line."""
        super().__init__()
        self._serves = serves
        self._fields = dict(fields)

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "request_id") and (id := request_ids.current()):
            record.request_id = id
        record.__dict__.update(self._fields)
        for handler in self._serves.handlers:
            getattr(handler, "target", handler).handle(record)


def log_call(
    log: logging.Logger, call: str, ids: Iterable[str], since: float, *, faults: int = 0, **fields: Any
) -> None:
    """A line for a call that a replica answered, which carried inputs of these requests and began at that reading of
    `time.perf_counter`: at INFO, or at WARNING where some of its inputs met a bug."""
    level = logging.WARNING if faults else logging.INFO
    if log.isEnabledFor(level):
        known = sorted(set(filter(None, ids)))
        log.log(level, call, extra={"request_ids": known, "ms": ms_since(since), "faults": faults, **fields})
