"""The branch of the settings for the web page."""

from __future__ import annotations

from pydantic import Field

from cluster.section import Section


class PageSettings(Section):
    """The web page under /ui. Needs crossray[page]; without it everything else runs."""

    enabled: bool = Field(True, description="Run it, where it is installed and the ingress is direct.")
    num_cpus: float = Field(0.1, ge=0, description="Cores the one replica reserves.")
