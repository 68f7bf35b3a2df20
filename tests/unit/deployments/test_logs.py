"""Lines of a replica's log: whole, of JSON, with the request's id, and nobody else's to begin."""

from __future__ import annotations

import io
import json
import logging
import logging.handlers
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deployments import request_ids
from deployments.logs import ServeFile, log_call

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, when it is imported
log = logging.getLogger("deployments.testing")


@pytest.fixture
def lines() -> Iterator[Any]:
    """Behind a buffer of a thousand, as Serve's file is in a cluster of ours, and in its format."""
    from ray._common.formatters import JSONFormatter

    sink = io.StringIO()
    file = logging.StreamHandler(sink)
    file.setFormatter(JSONFormatter())
    serves = logging.Logger("serves")
    serves.addHandler(logging.handlers.MemoryHandler(1000, target=file))
    handler = ServeFile(serves, {"deployment": "Encoder", "replica": "r1"})
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    yield lambda: [json.loads(line) for line in sink.getvalue().splitlines()]
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)
    log.propagate = True


def test_a_line_is_there_at_once_and_says_where_and_for_whom(lines: Any) -> None:
    with request_ids.request_of("mine"):
        log.info("hello %s", "you")
    [line] = lines()
    assert (line["message"], line["request_id"]) == ("hello you", "mine")
    assert (line["deployment"], line["replica"], line["levelname"]) == ("Encoder", "r1", "INFO")


HOSTILE = {
    "a line": 'x\n{"levelname": "ERROR"}',
    "a return": "x\r\n",
    "an escape": "\x1b[2J",
    "an escape in one": "\x9b31m",
    "a separator": "\u2028",
    "a character": "图",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_is_logged_begins_a_line_or_moves_a_cursor(lines: Any, text: str) -> None:
    log.warning("it said %s", text, extra={"path": text})
    [line] = lines()
    assert line["path"] == text
    assert line["message"] == f"it said {text}"


def test_what_is_written_is_ascii(lines: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from ray._common.formatters import JSONFormatter

    record = logging.LogRecord("x", logging.INFO, "", 0, "\x1b[31m \x9b 图 \n", (), None)
    written = JSONFormatter().format(record)
    assert written.isascii()
    assert written.isprintable()


def test_an_exception_is_one_line(lines: Any) -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        log.exception("failed")
    [line] = lines()
    assert "ValueError: a\nb" in line["exc_text"]


def test_a_call_names_the_requests_whose_inputs_it_carried(lines: Any) -> None:
    log_call(log, "encode", ["b", "a", "", "b"], time.perf_counter(), items=4)
    log_call(log, "encode", ["c"], time.perf_counter(), faults=1)
    fine, faulty = lines()
    assert fine["request_ids"] == ["a", "b"]
    assert (fine["items"], fine["levelname"]) == (4, "INFO")
    assert (faulty["faults"], faulty["levelname"]) == (1, "WARNING")
    log.setLevel(logging.WARNING)
    log_call(log, "encode", ["d"], time.perf_counter())
    assert len(lines()) == 2
