"""Memory of many processes over time: PSS, in which what they share is counted once (proc(5), smaps_rollup)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

INTERVAL_S = 1.0
POINTS = 120


class MemoryCurve:
    """Samples of a server's and a command's process trees, in MB, a second or `interval_s` apart."""

    def __init__(self, server_pid: int, interval_s: float = INTERVAL_S) -> None:
        self._roots = [server_pid]
        self._interval_s = interval_s
        self._samples: list[tuple[float, float]] = []
        self._resident: list[dict[str, float]] = []
        self._stopping = threading.Event()
        self.command_cpu_s = 0.0
        """CPU seconds of the commands, as of the last sample."""
        self._started = time.monotonic()

    def add(self, pid: int) -> None:
        """Counts another tree from now on."""
        self._roots.append(pid)

    @contextlib.contextmanager
    def watching(self, pid: int | None = None) -> Iterator[None]:
        """While the block runs; a command of this process id counts, too."""
        if pid is not None:
            self.add(pid)
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def samples(self) -> list[tuple[float, float]]:
        """Seconds and MB."""
        return list(self._samples)

    def resident(self) -> dict[str, list[tuple[float, float]]]:
        """Seconds and resident MB (RSS, what is shared counted in each) of each process by its name."""
        found: dict[str, list[tuple[float, float]]] = {}
        for (at, _), by_name in zip(self._samples, self._resident, strict=True):
            for name, mb in by_name.items():
                found.setdefault(name, []).append((at, mb))
        return found

    def thinned(self) -> list[tuple[float, float]]:
        """At most so many as a figure shows."""
        step = max(len(self._samples) // POINTS, 1)
        return [(round(at, 1), round(mb, 1)) for at, mb in self._samples[::step]]

    def summary(self) -> dict[str, float]:
        """The medians of the second and of the last quarter of the time, and the highest: flat is when they agree."""
        values = [mb for _, mb in self._samples]
        early, late = quarters(values)
        return {"mb_second_quarter": early, "mb_last_quarter": late, "mb_highest": max(values)}

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self._sample(time.monotonic() - self._started)
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(self._roots[-1]).cpu_times()
                self.command_cpu_s = times.user + times.system
            self._stopping.wait(self._interval_s)

    def _sample(self, at_s: float) -> None:
        total_kb = 0
        resident: dict[str, float] = {}
        for root in list(self._roots):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(root)
                for one in (process, *process.children(recursive=True)):
                    total_kb += _pss_kb(one.pid)
                    with contextlib.suppress(psutil.NoSuchProcess):
                        name = process_name(one.cmdline())
                        resident[name] = resident.get(name, 0.0) + one.memory_info().rss / 2**20
        self._samples.append((at_s, total_kb / 1024))
        self._resident.append(resident)


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the second quarter and of the last."""
    quarter = max(len(values) // 4, 1)
    early, late = sorted(values[quarter : 2 * quarter] or values), sorted(values[-quarter:])
    return early[len(early) // 2], late[len(late) // 2]


def process_name(command: Sequence[str]) -> str:
    """What a process of a cluster is: a deployment's replica, or a part of Ray's; `python` is any other of Python's."""
    if not command:
        return "ended"
    name = command[0]
    if name.startswith("ray::"):
        return name.removeprefix("ray::").rpartition(":")[2].partition(".")[0].split(" ")[0]
    module = command[command.index("-m") + 1] if "-m" in command[:-1] else ""
    return module or Path(next((one for one in command if one.endswith(".py")), name)).name


def _pss_kb(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def plot_memory(curves: Mapping[str, MemoryCurve], path: Path) -> None:
    """One line a run, to a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(*zip(*curve.samples(), strict=True), label=name)
    axes.set(xlabel="seconds", ylabel="MB (PSS, all processes)", ylim=(0, None), title="Memory of crossray index")
    axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
