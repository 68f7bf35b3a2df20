"""Where Prometheus and promtool are, for tests that run them."""

from __future__ import annotations

import shutil

from tests.requirements import lacks


def prometheus_tool(name: str) -> str:
    """The path of `prometheus` or `promtool`. Without it the test skips, and where CI says that servers must be there
    it fails."""
    found = shutil.which(name)
    if found is None:
        lacks(f"{name} is not installed; Debian's package prometheus has it")
    return found
