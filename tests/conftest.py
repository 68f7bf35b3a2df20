"""Fixtures that several kinds of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def starter_cache(request: pytest.FixtureRequest) -> Path:
    """A cache folder that outlives the session: the starter exports into it once, and loads from it afterwards."""
    return request.config.cache.mkdir("starter")
