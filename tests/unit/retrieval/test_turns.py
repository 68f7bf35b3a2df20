"""So many threads at a time, and no turn lost."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from retrieval.embedded.locks import Turns

AT_ONCE = 3


def test_so_many_at_a_time_go_on() -> None:
    turns, here, most, counting = Turns(AT_ONCE), [0], [0], threading.Lock()

    def visit(_: int) -> None:
        with turns:
            with counting:
                here[0] += 1
                most[0] = max(most[0], here[0])
            time.sleep(1e-3)
            with counting:
                here[0] -= 1

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(visit, range(200)))
    assert most[0] == AT_ONCE


def test_who_fails_gives_its_turn_back() -> None:
    turns = Turns(1)
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError), turns:
            1 / 0  # noqa: B018
    with ThreadPoolExecutor(1) as pool:

        def take() -> bool:
            with turns:
                return True

        assert pool.submit(take).result(timeout=10)
