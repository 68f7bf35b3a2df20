"""Which vectors a reindex takes over, and which it makes anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.local import LocalEncoder
from deployments.prepare_pool import PreparePool
from deployments.reindex.vectors import VectorSource
from deployments.running_encoders import RunningEncoder, RunningEncoders
from encoders import EncoderInput, VectorContract
from encoders.fake import FakeEncoder
from retrieval import FolderMedia, Payload, Record


def running(dim: int, dimensions: tuple[int, ...] = ()) -> RunningEncoder:
    """The fake encoder; with `dimensions`, one that says so of its prefixes."""
    fake = FakeEncoder(dim)
    port = LocalEncoder(EncoderWorker(fake, BatchLimits(), pool=PreparePool(fake.preparer, 1)))
    return RunningEncoder(port, port, replace(fake.info, dimensions=dimensions or (dim,)))


def contract(dim: int) -> VectorContract:
    return FakeEncoder(dim).info.contract


def source(before: int, after: int, *encoders: RunningEncoder, folder: Path) -> VectorSource:
    return VectorSource(contract(before), contract(after), RunningEncoders(encoders), FolderMedia(folder))


@pytest.mark.parametrize(
    ("before", "after", "encoders", "reuses"),
    [
        pytest.param(48, 48, [running(48)], True, id="the same"),
        pytest.param(48, 48, [running(64)], True, id="the same, whose encoder is gone"),
        pytest.param(48, 32, [running(48, (48, 32))], True, id="a prefix"),
        pytest.param(48, 32, [running(64, (64, 48, 32))], True, id="a prefix of a prefix"),
        pytest.param(32, 48, [running(48, (48, 32))], False, id="more columns"),
        pytest.param(48, 32, [running(48), running(32)], False, id="two encoders that differ in their columns alone"),
    ],
)
def test_what_is_taken_over(
    before: int, after: int, encoders: list[RunningEncoder], reuses: bool, tmp_path: Path
) -> None:
    made = source(before, after, *encoders, folder=tmp_path)
    assert (made.reuses, made.is_none) == (reuses, False)


def test_a_prefix_that_no_encoder_vouches_for(tmp_path: Path) -> None:
    assert source(48, 32, running(48), folder=tmp_path).is_none


async def test_what_is_not_taken_over_is_made_by_the_encoder_of_the_target(tmp_path: Path) -> None:
    record = Record("a", np.eye(48, dtype=np.float32)[0], Payload("text", text="red"))
    (made,) = await source(48, 32, running(48), running(32), folder=tmp_path).make([record])
    fake = FakeEncoder(32)
    expected = fake.forward([fake.preparer(EncoderInput("red"), "document")])[0]
    assert made.vector is not None
    assert np.array_equal(made.vector, expected)
