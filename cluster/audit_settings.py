"""The branch of the settings tree for the audit log."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from cluster.section import Section


class AuditSettings(Section):
    """A line of JSON for each call that writes or administers, and for each that was refused by its key."""

    enabled: bool = Field(True, description="Write it.")
    path: Path | None = Field(
        None,
        description="The file, which is turned over at 64 MiB; four old ones are kept. null: audit.jsonl in the data "
        "folder. Where several ingress replicas run the lines go to each one's log, and this is not for them.",
    )
