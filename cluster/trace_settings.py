"""The branch of the settings tree for OpenTelemetry traces."""

from __future__ import annotations

from pydantic import Field

from cluster.section import Section


class TraceSettings(Section):
    """A span for each request and each of its stages. They need the extra `tracing`."""

    endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Of a collector that takes OTLP over HTTP, such as http://collector:4318/v1/traces; null for none.",
    )
    share: float = Field(
        1, ge=0, le=1, description="Of the requests that are traced, where the caller's traceparent does not say."
    )
