"""Traces of requests: one span a request and one a stage, in the caller's trace where it has one; off, nothing."""

from __future__ import annotations

import gzip
import itertools
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, TraceIdRatioBased

from cluster.settings import load_settings
from deployments.gate import Gate
from deployments.stages import Stages
from deployments.traces import TraceOptions, Traces, open_traces
from encoders.errors import MissingExtra
from tests.unit.deployments.conftest import Api

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def traced(api: Api, sampler: Sampler | None = None) -> InMemorySpanExporter:
    """From now on the API's spans are kept."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = api.http._transport.app  # type: ignore[attr-defined]
    while not isinstance(app, Gate):
        app = app._app
    app._traces = Traces(provider)
    return exporter


async def test_a_request_is_a_span_with_one_for_each_stage(api: Api) -> None:
    exporter = traced(api)
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Request-ID": "mine"}
    answer = await api.http.post("/v1/search", json={"text": "a"}, headers=headers)
    *stages, request = sorted(exporter.get_finished_spans(), key=lambda span: span.kind.name == "SERVER")
    assert request.name == "POST search"
    assert request.attributes is not None
    assert request.attributes["crossray.request_id"] == "mine"
    assert request.attributes["http.response.status_code"] == 200
    assert request.parent is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, SPAN)
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{request.context.span_id:016x}-01"
    timings = answer.headers["server-timing"].split(", ")
    assert [span.name for span in stages] == [timing.partition(";")[0] for timing in timings[:-1]]
    assert {"encode_queue", "encode", "search"} <= {span.name for span in stages}
    for before, after in itertools.pairwise(stages):
        assert before.end_time == after.start_time, "they follow each other"
    assert all(span.parent is not None and span.parent.span_id == request.context.span_id for span in stages)


@pytest.mark.parametrize("parent", [None, "nonsense", "00-00000000000000000000000000000000-b7ad6b7169203331-01"])
async def test_a_caller_without_a_trace_begins_one(api: Api, parent: str | None) -> None:
    exporter = traced(api)
    await api.http.get("/health/live", headers={} if parent is None else {"traceparent": parent})
    (request,) = (span for span in exporter.get_finished_spans() if span.kind.name == "SERVER")
    assert request.parent is None


async def test_what_the_caller_does_not_trace_is_not_traced(api: Api) -> None:
    exporter = traced(api, ParentBased(TraceIdRatioBased(1.0)))
    await api.http.get("/health/live", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert exporter.get_finished_spans() == ()
    exporter = traced(api, ALWAYS_OFF)
    answer = await api.http.get("/health/live")
    assert exporter.get_finished_spans() == ()
    assert int(answer.headers["traceresponse"][-2:], 16) & 1 == 0, "not sampled"


async def test_off_it_says_nothing(api: Api) -> None:
    answer = await api.http.get("/health/live", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert "traceresponse" not in answer.headers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, when it is imported
def test_the_settings_turn_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from cluster.app_options import trace_options

    assert trace_options(load_settings("local")) is None
    monkeypatch.setenv("CROSSRAY_TRACES__ENDPOINT", "http://collector:4318/v1/traces")
    monkeypatch.setenv("CROSSRAY_TRACES__SHARE", "0.1")
    assert trace_options(load_settings("local")) == TraceOptions("http://collector:4318/v1/traces", 0.1)


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP, and keeps the bodies."""

    bodies: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


def test_what_is_left_is_sent_when_it_closes() -> None:
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        traces = open_traces(TraceOptions(f"http://127.0.0.1:{server.server_port}/v1/traces", 1.0))
        stages = Stages()
        stages.lap("encode")
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/search",
            "headers": [],
            "state": {"operation": "search"},
        }
        traces.answered(scope, 200, stages)
        traces.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    [(path, body)] = Collector.bodies
    assert path == "/v1/traces"
    assert all(word in body for word in (b"POST search", b"encode", b"crossray"))


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtra, match="tracing"):
        open_traces(TraceOptions("http://127.0.0.1:1/v1/traces", 1.0))
