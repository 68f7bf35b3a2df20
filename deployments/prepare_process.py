"""A process that prepares one input at a time, so that who kills it is known.

Not a `ProcessPoolExecutor`: there one death fails all that waits with it, and before Python 3.12 a process that starts
meanwhile is waited for without end.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeAlias

from deployments.errors import EncoderFault
from encoders import InputError, Prepared
from encoders.decode_time import decoding_s

AnyPreparer: TypeAlias = Callable[..., Prepared]
"""An encoder's preparer, of an input and its role, or a reranker's, of a pair."""

FAILED = "preparing the input failed"
log = logging.getLogger(__name__)


class Spent(NamedTuple):
    """Seconds of preparing one input."""

    decode_s: float = 0.0
    preprocess_s: float = 0.0
    """All that was not decoding: resizing, tokenising."""

    @property
    def total_s(self) -> float:
        return self.decode_s + self.preprocess_s

    def stages_s(self) -> dict[str, float]:
        """By stage; without `decode` where nothing was decoded."""
        return ({"decode": self.decode_s} if self.decode_s else {}) | {"preprocess": self.preprocess_s}


class ProcessDied(Exception):
    """The process ended before it answered."""


def timed(preparer: AnyPreparer, step: str, *given: Any) -> tuple[Any, Spent]:
    """What the preparer's method `step` makes of its arguments, or the error that is its own; and the seconds."""
    started, decoded_s = time.perf_counter(), decoding_s()
    try:
        prepared = getattr(preparer, step)(*given)
    except InputError as error:
        prepared = error
    except Exception:
        log.exception("preparing an input failed")
        prepared = EncoderFault(FAILED)
    decode_s = decoding_s() - decoded_s
    return prepared, Spent(decode_s, time.perf_counter() - started - decode_s)


class PrepareProcess:
    """Started from a clean server: this process holds threads, which a fork would not survive."""

    def __init__(self, preparer: AnyPreparer) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, preparer), daemon=True)
        self._process.start()
        there.close()  # so that its death ends the pipe

    def __call__(self, step: str, *given: Any) -> tuple[Any, Spent]:
        """See `timed`. For one thread at a time. Raises ProcessDied."""
        try:
            self._pipe.send((step, given))
            answer: tuple[Any, Spent] = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            self._pipe.close()
            raise ProcessDied(f"exit code {self._process.exitcode}") from error
        return answer

    def kill(self) -> None:
        """Whoever waits for it gets ProcessDied."""
        self._process.kill()


def _serve(pipe: Connection, preparer: AnyPreparer) -> None:
    """Until the other end is closed, or gone with its process."""
    while True:
        try:
            step, given = pipe.recv()
        except EOFError:
            return
        answer = timed(preparer, step, *given)
        try:
            pipe.send(answer)
        except OSError:
            return
        except Exception:
            log.exception("what was prepared does not pickle")
            pipe.send((EncoderFault(FAILED), answer[1]))
