"""No dependency phones home: Ray's usage statistics, Gradio's analytics, Hugging Face's telemetry.

They read these variables when they are imported, so the command line sets them before it imports anything of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

TELEMETRY_OFF = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


def switch_off() -> None:
    """For this process and those that it starts."""
    os.environ.update(TELEMETRY_OFF)


def left_on(environment: Mapping[str, str]) -> list[str]:
    """The variables that do not say no in `environment`."""
    return [name for name, value in TELEMETRY_OFF.items() if environment.get(name) != value]
