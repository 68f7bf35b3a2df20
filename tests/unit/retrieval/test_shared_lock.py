"""The lock of many readers or one writer, under threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from retrieval.embedded.locks import SharedLock

ROUNDS = 400


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    """Threads take turns between almost any two steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_writer_is_alone_and_readers_see_whole_writes() -> None:
    lock, pair, faults, reading = SharedLock(), [0, 0], [], [0]
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with lock.shared():
                first = pair[0]
                reading[0] += 1
                if first != pair[1]:
                    faults.append("half a write")

    def write() -> None:
        for _ in range(ROUNDS):
            with lock.alone():
                pair[0] += 1
                time.sleep(0)
                if pair[1] != pair[0] - 1:
                    faults.append("two writers")
                pair[1] += 1

    readers = [threading.Thread(target=read) for _ in range(4)]
    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    for thread in readers:
        thread.join(60)
    assert not any(thread.is_alive() for thread in (*readers, *writers))
    assert (faults, pair) == ([], [2 * ROUNDS] * 2)
    assert reading[0]


def test_readers_share_it_and_a_waiting_writer_goes_first() -> None:
    lock, order, both = SharedLock(), [], threading.Barrier(2, timeout=10)
    leave, second_reader = threading.Event(), threading.Event()

    def read_together() -> None:
        with lock.shared():
            both.wait()
            leave.wait(10)
            order.append("reader")

    def write() -> None:
        with lock.alone():
            order.append("writer")

    def read_later() -> None:
        second_reader.set()
        with lock.shared():
            order.append("later")

    early = [threading.Thread(target=read_together) for _ in range(2)]
    for thread in early:
        thread.start()
    both_read = threading.Thread(target=write)
    both_read.start()
    while not lock._writing:
        time.sleep(0.001)
    later = threading.Thread(target=read_later)
    later.start()
    second_reader.wait(10)
    leave.set()
    for thread in (*early, both_read, later):
        thread.join(10)
    assert order == ["reader", "reader", "writer", "later"]


def test_what_a_reader_raises_lets_writers_in() -> None:
    lock = SharedLock()
    with pytest.raises(ValueError, match="broken"), lock.shared():
        raise ValueError("broken")
    with lock.alone():
        pass
    with lock.shared():
        pass
