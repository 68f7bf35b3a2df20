"""OpenTelemetry traces, where they are on: a span for each request at the ingress, and below it one for each stage.

The spans are made when the answer begins, out of the laps that are taken anyway, those that replicas measured among
them: a request costs nothing where traces are off, and no clock of another machine is needed where they are on. Laps
of one name are one span. A caller's `traceparent` is followed, and `traceresponse` tells ours.
Source: https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import Scope

from deployments import request_ids
from deployments.stages import Stages
from encoders.extras import require

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Where traces go."""

    endpoint: str
    """Of a collector that takes OTLP over HTTP: `http://collector:4318/v1/traces`."""
    share: float
    """Of the requests whose callers do not say whether they are traced."""


def open_traces(options: TraceOptions) -> Traces:
    """Sends in the background; a collector that is away costs spans and nothing else. Raises MissingExtra."""
    exporter = require("opentelemetry.exporter.otlp.proto.http.trace_exporter", "tracing").OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create({"service.name": "crossray"}), sampler=ParentBased(TraceIdRatioBased(options.share))
    )
    provider.add_span_processor(BatchSpanProcessor(exporter(endpoint=options.endpoint)))
    return Traces(provider)


class Traces:
    """Makes the spans of requests."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("crossray")
        self._propagator = TraceContextTextMapPropagator()

    def answered(self, scope: Scope, status: int, stages: Stages) -> dict[str, str]:
        """Records a request whose answer begins now; the headers that tell the caller of it."""
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        laps_s = stages.laps_s()
        end = time.time_ns()
        at = start = end - int(sum(laps_s.values()) * 1e9)
        operation = scope["state"].get("operation", "unrouted")
        span = self._tracer.start_span(
            f"{scope['method']} {operation}",
            context=self._propagator.extract(dict(Headers(scope=scope))),
            kind=SpanKind.SERVER,
            start_time=start,
            attributes={
                "http.request.method": scope["method"],
                "url.path": scope["path"][:SHOWN_CHARS],
                "http.response.status_code": status,
                "crossray.operation": operation,
                "crossray.request_id": request_ids.current(),
            },
        )
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        if span.is_recording():
            for name, seconds in laps_s.items():
                child = self._tracer.start_span(name, context=set_span_in_context(span), start_time=at)
                at += int(seconds * 1e9)
                child.end(at)
        span.end(end)
        context = span.get_span_context()
        own = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        return {"traceresponse": own}

    def close(self) -> None:
        """Sends what was not sent yet."""
        self._provider.shutdown()
