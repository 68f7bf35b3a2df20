"""Threads of the device and of preparing, as the operating system shows them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deployments.device import Device
from deployments.prepare_pool import PreparePool
from deployments.thread_names import DEVICE, PREPARE
from encoders import EncoderInput
from encoders.fake import FakeEncoder


@pytest.mark.skipif(sys.platform != "linux", reason="threads are named through /proc, which only Linux has")
async def test_encoding_threads_can_be_told_apart() -> None:
    encoder = FakeEncoder()
    pool = PreparePool(encoder.preparer, 1)
    device = Device(encoder.forward, name="encoder")
    prepared, _ = await pool.prepare(EncoderInput(text="a dog"), "query")
    await device.run([prepared])  # type: ignore[list-item]
    names = {path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")}  # noqa: ASYNC240 (no disk)
    assert {DEVICE, PREPARE} <= names
    device.close()
    pool.close()
