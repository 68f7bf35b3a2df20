"""What a test needs of the machine: without it a test is skipped, and fails where CI says that it must be there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacks(reason: str) -> NoReturn:
    """Ends the test: `reason` says what is not there, and how to get it."""
    if os.environ.get("CROSSRAY_REQUIRE_SERVERS"):
        pytest.fail(reason)
    pytest.skip(reason)
