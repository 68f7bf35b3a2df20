"""The run file: which process runs the cluster of a data folder, and where it listens.

A pid alone is not an identity, because pids are used again; a pid with its start time is.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class RunFile:
    """What `crossray up` wrote. `state` is starting or ready; `create_time` is the process's, in epoch seconds."""

    pid: int
    create_time: float
    url: str
    profile: str
    data_dir: str
    log: str
    state: str
    ray_address: str = ""
    """Of Ray's head (GCS), for who joins the cluster."""
    metrics_url: str = ""
    """What a Prometheus scrapes."""

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < 1
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def _path(data_dir: Path) -> Path:
    return data_dir / "run.json"


def write_runfile(data_dir: Path, run: RunFile) -> None:
    """Atomically, so that a reader sees the whole of the old or the new."""
    data_dir.mkdir(parents=True, exist_ok=True)
    temporary = _path(data_dir).with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(asdict(run)), encoding="utf-8")
    temporary.replace(_path(data_dir))


def read_runfile(data_dir: Path) -> RunFile | None:
    """The run file of a process that lives, else None; a dead one's file is removed."""
    try:
        run = RunFile(**json.loads(_path(data_dir).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if run.alive():
        return run
    _path(data_dir).unlink(missing_ok=True)
    return None


def remove_runfile(data_dir: Path) -> None:
    _path(data_dir).unlink(missing_ok=True)
