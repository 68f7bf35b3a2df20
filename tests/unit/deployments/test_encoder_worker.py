"""One input's failure is its own: neither its batch nor its call fails with it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker, EncodeTask
from deployments.errors import EncoderFault
from deployments.prepare_pool import PreparePool
from encoders import EncoderInput, InputError, Prepared, Role, Vectors
from encoders.errors import OutOfMemory
from encoders.fake import FakeEncoder, FakePreparer


class BrittlePreparer:
    """Trips over a word, as a bug would."""

    def __init__(self, inner: FakePreparer) -> None:
        self._inner = inner

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        if item.text == "trip":
            raise ZeroDivisionError("a bug")
        return self._inner(item, role)


class BrittleEncoder(FakeEncoder):
    """Fails a whole batch for one of its items: cost 2 is a bug, cost 3 does not fit."""

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        if any(item.cost == 2 for item in batch):
            raise RuntimeError("device-side assert")
        vectors = super().forward(batch)
        if rows := tuple(row for row, item in enumerate(batch) if item.cost == 3):
            raise OutOfMemory(rows, vectors)
        return vectors


async def outcomes(*texts: str) -> list[Vectors | Exception]:
    encoder = BrittleEncoder()
    pool = PreparePool(BrittlePreparer(encoder.preparer), 1)
    worker = EncoderWorker(encoder, BatchLimits(), pool=pool)
    reply = await worker.encode([EncodeTask(EncoderInput(text), "query", "bulk") for text in texts])
    await worker.close()
    return [o.error if o.error is not None else o.unwrap() for o in reply.outcomes]


async def test_what_breaks_a_batch_fails_alone() -> None:
    first, bad, last = await outcomes("one", "two words", "three")
    assert isinstance(bad, EncoderFault)
    for vector in (first, last):
        assert isinstance(vector, np.ndarray)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_what_does_not_fit_the_device_fails_alone() -> None:
    first, large, last = await outcomes("one", "far too large", "three")
    assert isinstance(large, InputError)
    assert large.code == "out_of_memory"
    assert isinstance(first, np.ndarray)
    assert isinstance(last, np.ndarray)


async def test_what_cannot_be_prepared_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    first, refused, tripped = await outcomes("one", " ", "trip")
    assert "ZeroDivisionError: a bug" in caplog.text
    assert isinstance(first, np.ndarray)
    assert isinstance(refused, InputError)
    assert isinstance(tripped, EncoderFault)
    assert str(pickle.loads(pickle.dumps(tripped))) == "preparing the input failed: see the server's log"


async def test_the_stages_of_an_image_tell_decoding_from_the_rest(picture: Callable[[], bytes]) -> None:
    encoder = FakeEncoder()
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    inputs = [EncoderInput(image=picture()), EncoderInput("a"), EncoderInput("", picture())]
    image, text, both = (await worker.encode([EncodeTask(item, "query") for item in inputs])).outcomes
    assert list(image.stages_s) == ["decode", "preprocess", "encode_queue", "encode"]
    assert all(seconds > 0 for seconds in image.stages_s.values())
    assert list(text.stages_s) == ["preprocess", "encode_queue", "encode"], "another's decoding is not its own"
    assert isinstance(both.error, InputError)
    assert list(both.stages_s) == ["preprocess"], "an empty text is refused before the image is looked at"
    await worker.close()


async def test_the_longest_wait_of_a_call_is_told_by_lane() -> None:
    waits: list[tuple[str, float]] = []
    encoder = FakeEncoder(work_s=0.02)
    pool = PreparePool(encoder.preparer, 1)
    worker = EncoderWorker(
        encoder, BatchLimits(max_batch_size=1), pool=pool, on_wait=lambda lane, seconds: waits.append((lane, seconds))
    )
    await worker.encode([EncodeTask(EncoderInput(str(number)), "document", "bulk") for number in range(3)])
    await worker.close()
    [(lane, seconds)] = waits
    assert lane == "bulk"
    assert seconds >= 0.04, "the last one waited for two batches"
