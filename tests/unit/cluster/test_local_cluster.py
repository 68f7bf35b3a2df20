"""What a start that Ray gives up says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray

from cluster.local_cluster import StartError, start_ray
from cluster.settings import load_settings


def start_with(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    def refuse(**_: Any) -> None:
        raise Exception(said)  # as Ray does

    monkeypatch.setattr(ray, "init", refuse)
    start_ray(load_settings(), Path("never"), 0)


def test_a_node_that_was_not_up_in_time_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "The current node timed out during startup. This could happen because some of the raylet failed to startup"
    with pytest.raises(StartError, match="try again when less else runs"):
        start_with(monkeypatch, said)


def test_any_other_fault_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match="no space left"):
        start_with(monkeypatch, "no space left")
