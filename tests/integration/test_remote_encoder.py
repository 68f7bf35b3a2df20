"""What an ingress does between its requests and an encoder's handle: what it holds back, and whose time ran out."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from deployments.batch_queue import BatchLimits
from deployments.deadline import Deadline, until
from deployments.encode_calls import EncodeCalls
from deployments.encoder import EncodeReply, EncoderWorker, EncodeTask
from deployments.errors import DeadlineExceeded, Overloaded
from deployments.prepare_pool import PreparePool
from deployments.remote import RemoteEncoder
from encoders import EncoderInput
from encoders.fake import FakeEncoder

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray, when it is first imported


def text_task(text: str) -> EncodeTask:
    return EncodeTask(EncoderInput(text), "query")


def worker_of(encoder: FakeEncoder) -> EncoderWorker:
    return EncoderWorker(encoder, BatchLimits(max_batch_size=1), pool=PreparePool(encoder.preparer, 1))


class Handle:
    """Calls a worker as a Serve handle does: what travels is pickled."""

    def __init__(self, worker: EncoderWorker) -> None:
        self.held: list[tuple[int, int]] = []
        self._worker = worker
        self.encode = self

    async def remote(self, *arguments: Any) -> EncodeReply:
        tasks, held = pickle.loads(pickle.dumps(arguments))
        self.held.append((held.interactive, held.bulk))
        return await self._worker.encode(tasks, held)


async def test_the_request_s_deadline_reaches_the_encoder_and_its_error_the_request() -> None:
    encoder = FakeEncoder(work_s=0.2)
    worker = worker_of(encoder)
    remote = RemoteEncoder(Handle(worker), EncodeCalls(items=1))

    async def ask(text: str, left_s: float) -> Any:
        with until(Deadline(left_s)):
            return (await remote.encode([text_task(text)]))[0].unwrap()

    first, late = await asyncio.gather(ask("first", 60), ask("late", 0.1), return_exceptions=True)
    await worker.close()
    assert not isinstance(first, Exception)
    assert isinstance(late, DeadlineExceeded)


async def test_a_process_holds_back_so_many_inputs_and_tells_of_them() -> None:
    worker = worker_of(FakeEncoder(work_s=0.05))
    handle = Handle(worker)
    remote = RemoteEncoder(handle, EncodeCalls(items=2, interactive=1, bulk=1, held=4))
    asked = [asyncio.create_task(remote.encode([text_task(f"{n}")])) for n in range(7)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    await worker.close()
    assert [type(one) for one in results] == [list] * 6 + [Overloaded]
    assert handle.held == [(4, 0), (2, 0), (0, 0)]
