"""A caller's time: said in a header, carried from hop to hop, and work that came too late dropped at each of them."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from deployments.batch_queue import BatchLimits
from deployments.coalescer import Coalescer
from deployments.deadline import HEADER, Deadline, current_deadline, latest, seconds_of, start_unhurried, until
from deployments.encoder import EncoderWorker, EncodeTask
from deployments.errors import BadRequest, DeadlineExceeded
from deployments.prepare_pool import PreparePool
from encoders import EncoderInput
from encoders.fake import FakeEncoder
from tests.unit.deployments.conftest import CountingEncoder, Start


def text_task(text: str, deadline: Deadline | None = None) -> EncodeTask:
    return EncodeTask(EncoderInput(text), "query", deadline=deadline)


def worker_of(encoder: FakeEncoder) -> EncoderWorker:
    return EncoderWorker(encoder, BatchLimits(max_batch_size=1), pool=PreparePool(encoder.preparer, 1))


def test_it_travels_as_the_time_that_is_left() -> None:
    there = pickle.loads(pickle.dumps(Deadline(30)))
    assert 29 < there.left_s() <= 30
    assert pickle.loads(pickle.dumps(Deadline(-1))).is_over()


def test_a_call_is_worth_making_for_the_last_that_waits() -> None:
    soon, later = Deadline(1), Deadline(60)
    assert latest([later, soon]) is later
    assert latest([soon, None, later]) is None
    assert latest([]) is None


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("1500", 1.5), (" 20 ", 0.02), ("0", 0.0)])
def test_the_header_is_in_milliseconds(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header) == seconds


@pytest.mark.parametrize("header", ["", "soon", "-5", "1.5", "1e3", "9" * 10, "٣"])
def test_what_is_no_number_of_milliseconds_is_refused(header: str) -> None:
    with pytest.raises(BadRequest, match="milliseconds"):
        seconds_of(header)


async def test_what_goes_on_after_a_request_has_no_deadline() -> None:
    async def look() -> Deadline | None:
        return current_deadline()

    with until(Deadline(1)):
        assert await asyncio.create_task(look()) is not None
        assert await start_unhurried(look()) is None
    assert current_deadline() is None


async def test_an_item_that_waited_too_long_is_not_sent_and_the_call_has_the_last_deadline() -> None:
    begun, gate, calls, left = asyncio.Event(), asyncio.Event(), [], []

    async def call(items: list[str]) -> list[str]:
        calls.append(items)
        begun.set()
        deadline = current_deadline()
        left.append(None if deadline is None else round(deadline.left_s()))
        await gate.wait()
        return items

    async def ask(item: str, left_s: float | None) -> str:
        with until(None if left_s is None else Deadline(left_s)):
            return await coalesce(item)

    coalesce: Coalescer[str, str] = Coalescer(call, max_items=8)
    tasks = [asyncio.create_task(ask("a", None))]
    await begun.wait()
    tasks += [asyncio.create_task(ask(*given)) for given in (("b", 0.0), ("c", 60.0), ("d", 30.0))]
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert calls == [["a"], ["c", "d"]]
    assert left == [None, 60]
    assert [type(one) for one in results] == [str, DeadlineExceeded, str, str]


async def test_an_encoder_drops_what_came_too_late_and_what_waited_too_long() -> None:
    encoder = CountingEncoder(work_s=0.2)
    worker = worker_of(encoder)
    tasks = [
        text_task("first"),
        text_task("waits", Deadline(0.1)),
        text_task("came late", Deadline(0)),
        text_task("in time"),
    ]
    reply = await worker.encode(tasks)
    await worker.close()
    assert [outcome.is_dropped for outcome in reply.outcomes] == [False, True, True, False]
    assert encoder.forwards == [1, 1]
    with pytest.raises(DeadlineExceeded, match="before it was encoded"):
        reply.outcomes[1].unwrap()
    assert pickle.loads(pickle.dumps(reply.outcomes[1])).is_dropped


async def test_a_request_s_own_deadline_is_a_504(start: Start) -> None:
    async with start(encoder=FakeEncoder(work_s=0.5)) as api:
        answer = await api.http.post("/v1/search", json={"text": "slow"}, headers={HEADER: "50"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert "0.05 s" in answer.json()["error"]["message"]
        answer = await api.http.post("/v1/search", json={"text": "slow"}, headers={HEADER: "soon"})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, HEADER)
        assert (await api.http.post("/v1/search", json={"text": "in time"}, headers={HEADER: "60000"})).is_success
        assert api.errors == [("search", "deadline_exceeded"), ("unrouted", "invalid_request")]
