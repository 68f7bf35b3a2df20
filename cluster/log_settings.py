"""The branch of the settings tree for logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from cluster.section import Section


class LogSettings(Section):
    """What replicas log: lines of JSON, a file for each replica, each line with the id of its request."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "WARNING",
        description="INFO adds a line for each answer, and for each call that the encoder and the index answered.",
    )
    slow_s: float = Field(5, gt=0, description="An answer that took longer is logged, with its stages, at any level.")

    def for_serve(self, folder: Path | None = None) -> dict[str, Any]:
        """Serve's own `LoggingConfig`, by which ours goes, too; without a folder files are in Ray's session folder."""
        where = {} if folder is None else {"logs_dir": str(folder)}
        return {"encoding": "JSON", "log_level": self.level, "enable_access_log": False} | where
