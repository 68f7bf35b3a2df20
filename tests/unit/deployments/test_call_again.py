"""Calls whose replica was lost are made again, and others are not."""

from __future__ import annotations

import pytest
from ray.exceptions import RayActorError

from deployments import remote
from deployments.errors import Unavailable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Serve's own, on being imported


class Lost:
    """Fails so often with the error that says that its replica is gone, or with another one."""

    def __init__(self, times: int, error: Exception | type[Exception] = RayActorError) -> None:
        self.left = times
        self.calls = 0
        self._error = error

    async def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self._error
        return "answer"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(remote.asyncio, "sleep", sleep)
    return made


async def test_it_is_made_again_after_pauses_that_grow(pauses: list[float]) -> None:
    call, retries = Lost(3), []
    assert await remote.call_again(call, "encoder", retries.append) == "answer"
    assert (call.calls, retries) == (4, ["encoder"] * 3)
    assert pauses == [0.01, 0.02, 0.04]


async def test_in_the_end_it_says_so_at_once(pauses: list[float]) -> None:
    call, retries = Lost(99), []
    with pytest.raises(Unavailable, match="the encoder does not answer"):
        await remote.call_again(call, "encoder", retries.append)
    assert call.calls == remote.ATTEMPTS
    assert len(retries) == len(pauses) == remote.ATTEMPTS - 1, "none after the last"


async def test_what_the_call_itself_is_to_blame_for_is_told(pauses: list[float]) -> None:
    call = Lost(1, KeyError("colour"))
    with pytest.raises(KeyError, match="colour"):
        await remote.call_again(call, "encoder", lambda target: None)
    assert (call.calls, pauses) == (1, [])
