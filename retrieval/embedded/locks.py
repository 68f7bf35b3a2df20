"""Who may go on, of many threads: many readers or one writer, and so many at a time."""

from __future__ import annotations

import queue
import threading
from types import TracebackType


class SharedLock:
    """Readers share it, a writer has it alone. A waiting writer goes before readers that come later.

    `with lock.shared(): …` and `with lock.alone(): …`; neither inside the other, nor inside itself. A reader takes no
    mutex unless somebody writes: it puts its name down and then looks whether somebody does, a writer says so and then
    looks for names, and Python runs each of these steps whole, in the order of one thread after the other. Searches of
    many threads would else queue for the mutex. Classes and no generators: every search pays for it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers: dict[int, None] = {}
        self._writing = False
        self._shared = _Shared(self)
        self._alone = _Alone(self)

    def shared(self) -> _Shared:
        return self._shared

    def alone(self) -> _Alone:
        return self._alone


class _Shared:
    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock, name = self._lock, threading.get_ident()
        lock._readers[name] = None
        while lock._writing:
            self.__exit__(None, None, None)
            with lock._changed:
                while lock._writing:
                    lock._changed.wait()
            lock._readers[name] = None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        lock = self._lock
        del lock._readers[threading.get_ident()]
        if lock._writing:
            with lock._changed:
                lock._changed.notify_all()


class _Alone:
    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        with lock._changed:
            while lock._writing:
                lock._changed.wait()
            lock._writing = True
            try:
                while lock._readers:
                    lock._changed.wait()
            except BaseException:
                lock._writing = False
                lock._changed.notify_all()
                raise

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        lock = self._lock
        with lock._changed:
            lock._writing = False
            lock._changed.notify_all()


class Turns:
    """So many at a time go on, the others wait: `with turns: …`.

    Threads that all want Python's lock spend their time in handing it over. A queue is used for its C: `Semaphore` is
    written in Python, and each of its steps needs that lock, too (7,300 searches a second of 32 threads, not 10,000).
    """

    def __init__(self, at_once: int) -> None:
        self._free: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(at_once):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._free.put(None)
