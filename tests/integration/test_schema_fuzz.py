"""Requests made up from the OpenAPI document, sent over HTTP to the whole API: collections, jobs, a real catalog, real
indexes. No 500, and every answer is one that the document has (Schemathesis)."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from reindex_stack import Stack
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from deployments.api import HttpLimits, build_api
from deployments.jobs.options import Jobs
from deployments.keys.scopes import ROUTE_SCOPES
from tests.unit.deployments.job_stack import CountingDoorbell, options

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray, when it is first imported
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
"""Of each call: so many as CI has seconds for. FUZZ_EXAMPLES=200 looks further."""
UNDOCUMENTED = {("GET", "/docs"), ("GET", "/openapi.json"), ("POST", "/v2/rerank")}


@pytest.fixture(scope="module")
def api_schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("fuzzed")
    listening = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()
    servers: list[uvicorn.Server] = []

    async def main() -> None:
        stack = Stack(folder)
        jobs = Jobs(options(folder))
        ingress = stack.ingress
        service = jobs.service(CountingDoorbell())
        app = build_api(ingress.collections, HttpLimits(), collection_admin=ingress.admin, job_service=service)
        await stack.add(id="a-cat", text="a cat")
        servers.append(uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none")))
        started.set()
        await servers[0].serve(sockets=[listening])
        jobs.close()
        await stack.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    while not started.wait(0.1):
        assert thread.is_alive(), "it did not start"
    yield schemathesis.openapi.from_url(f"http://127.0.0.1:{listening.getsockname()[1]}/openapi.json")
    servers[0].should_exit = True
    thread.join()
    listening.close()


def test_no_request_of_the_document_breaks_it(api_schema: Any) -> None:
    checks = (schemathesis.checks.not_a_server_error, content_type_conformance, response_schema_conformance)
    sent: Counter[str] = Counter()
    for result in api_schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers_as_it_says(case: Any) -> None:
            sent[case.operation.label] += 1
            case.validate_response(case.call(), checks=checks)

        answers_as_it_says()
    assert len(sent) == len([route for route in ROUTE_SCOPES if route not in UNDOCUMENTED])
