"""Who changed what: a line of JSON for each call that writes or administers, and for each that was refused by its key.

The lines go to the logger `crossray.audit`, at INFO. A line says who (the key's id, never the key), when, from where,
which call on what, and how it ended; a caller's own words are in it as JSON strings of ASCII, so that nobody can begin
a line of theirs in it. Refusals are many when somebody tries: beyond REFUSALS_PER_S a second they are counted only.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.types import Scope

from deployments import request_ids
from deployments.keys.api_key import SCOPES
from deployments.keys.caller import Caller
from retrieval.durable import make_folder

MAX_IDS = 100
"""Ids in a line; the count is of all."""
MAX_CHARS = 200
"""Of what a caller chose."""
MAX_FILE_BYTES, OLD_FILES = 64 << 20, 4
REFUSED = (401, 403, 429)
REFUSALS_PER_S = 10
log = logging.getLogger("crossray.audit")


def note(request: Request, id: str, collection: str | None = None) -> None:
    """The call that `request` is does something to the item, job or collection of this id."""
    request.scope["state"].setdefault("audited", []).append(id)
    if collection is not None:
        request.scope["state"]["audited_collection"] = collection


class Audit:
    """Writes the lines of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = float("-inf")
        self._refusals = 0
        self._skipped = 0

    def ended(self, scope: Scope, caller: Caller, status: int) -> None:
        """A request was answered with this status; 0 for one that was not, because its caller left."""
        call = caller.call
        changes = call is not None and call.access in SCOPES[1:]
        if not (changes or status in (401, 403)) or not log.isEnabledFor(logging.INFO):
            return
        if status not in REFUSED or self._may_tell_of_a_refusal():
            log.info("audit", extra={"audit": _fields(scope, caller, status) | self._take_skipped()})

    def _may_tell_of_a_refusal(self) -> bool:
        now = self._clock()
        if now - self._second >= 1:
            self._second, self._refusals = now, 0
        self._refusals += 1
        self._skipped += self._refusals > REFUSALS_PER_S
        return self._refusals <= REFUSALS_PER_S

    def _take_skipped(self) -> dict[str, int]:
        skipped, self._skipped = self._skipped, 0
        return {"refusals_not_told": skipped} if skipped else {}


def _fields(scope: Scope, caller: Caller, status: int) -> dict[str, Any]:
    state: Mapping[str, Any] = scope["state"]
    call = caller.call
    params = {} if call is None else {name: value[:MAX_CHARS] for name, value in call.params.items()}
    ids: list[str] = state.get("audited", [])
    known = {
        "request_id": request_ids.current() or None,
        "key": caller.key_id,
        "client": scope["client"][0] if scope.get("client") else None,
        "call": f"{scope['method'][:16]} {scope['path'][:MAX_CHARS] if call is None else call.route}",
        **params,
        "collection": state.get("audited_collection"),
        "ids": [id[:MAX_CHARS] for id in ids[:MAX_IDS]],
        "count": len(ids),
        "status": status,
        "outcome": _outcome(status),
        "code": state.get("error_code"),
    }
    return {name: value for name, value in known.items() if value not in (None, [], 0) or name == "key"}


def _outcome(status: int) -> str:
    if status in REFUSED:
        return "refused"
    return "unanswered" if status == 0 else "done" if status < 400 else "failed"


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Whether there is an audit log, and its file; None for the process's log."""

    enabled: bool
    path: Path | None


class JsonLines(logging.Formatter):
    """A record of ours as one line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": at, **getattr(record, "audit", {"message": record.getMessage()})})


def open_audit(options: AuditOptions) -> None:
    """Where the lines of this process go from now on; a file is turned over at MAX_FILE_BYTES."""
    log.setLevel(logging.INFO if options.enabled else logging.CRITICAL)
    for old in log.handlers[:]:
        log.removeHandler(old)
        old.close()
    log.propagate = options.path is None
    if options.path is None:
        return
    make_folder(options.path.parent)
    handler = RotatingFileHandler(
        options.path, maxBytes=MAX_FILE_BYTES, backupCount=OLD_FILES, encoding="ascii", delay=True
    )
    handler.setFormatter(JsonLines())
    log.addHandler(handler)
