"""Watches a locust test from its first to its last request, judges it by the limits, and writes the report.

Works on locust's environment and imports none of locust, which patches the process that does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests.curves import CURVES
from loadtests.load_options import told_command
from loadtests.report import circumstances, write_report
from loadtests.slo import Endpoint, Limits, violations
from loadtests.timeline import Counts, Timeline

SHED = "SHED"
"""Stands for the method of a request that was answered with 429, which makes it a line of its own in every report."""
WINDOWS = 120
"""Of a whole test, at the most, and none shorter than a second."""
UNENDING_S = 600.0
"""What a test without an end counts as, to choose its windows."""
SLO_NOT_MET = 1


class Recorder:
    """Attached to an environment of locust's; on a master it sees what all workers report."""

    def __init__(self, environment: Any, spawn: Callable[[Callable[[], None]], Any]) -> None:
        """`spawn` runs a function beside the test and gives something to `kill`."""
        self._environment = environment
        self._spawn = spawn
        self._begun = circumstances() | {"command": told_command(sys.argv[1:])}
        self._timeline = Timeline()
        self._started = time.monotonic()
        self._watching: Any = None
        self._faults: list[str] = []
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stopping.add_listener(self._stop)
        environment.events.quitting.add_listener(self._judge)
        environment.events.quit.add_listener(self._tell)

    def counts(self) -> dict[str, Counts]:
        """Of each kind of request, since the start."""
        entries = self._environment.stats.entries
        shed = {name: entry.num_requests for (name, method), entry in entries.items() if method == SHED}
        found = {name: Counts(shed=number) for name, number in shed.items()}
        for (name, method), entry in entries.items():
            if method != SHED:
                found[name] = Counts(entry.num_failures, shed.get(name, 0), dict(entry.response_times))
        return found

    def _start(self, **_: Any) -> None:
        self._timeline, self._started = Timeline(), time.monotonic()
        self._watching = self._spawn(self._watch)

    def _stop(self, **_: Any) -> None:
        """Before users are stopped: what they do from here on is not what was asked for."""
        if self._watching is not None:
            self._watching.kill()
            self._look()

    def _watch(self) -> None:
        options = self._environment.parsed_options
        lasts_s = options.run_time or CURVES[options.shape].lasts_s or UNENDING_S
        while True:
            time.sleep(max(lasts_s / WINDOWS, 1.0))
            self._look()

    def _look(self) -> None:
        self._timeline.look(time.monotonic() - self._started, self._environment.runner.user_count, self.counts())

    def _judge(self, **_: Any) -> None:
        options, runner = self._environment.parsed_options, self._environment.runner
        limits = Limits(**{name: getattr(options, f"slo_{name}") for name in Limits.names()})
        seen = {name: endpoint_of(counts) for name, counts in self.counts().items()}
        self._faults = violations(seen, limits)
        if runner.exceptions:
            self._faults.append(f"users raised {len(runner.exceptions)} kinds of exceptions: see above")
        self._environment.process_exit_code = SLO_NOT_MET if self._faults else 0
        if options.report:
            sections = {
                "host": self._environment.host,
                "users": options.num_users,
                "user_classes": [one.__name__ for one in self._environment.user_classes],
                "shape": options.shape,
                "pace_per_user": options.pace,
                "seconds": round(time.monotonic() - self._started, 1),
                "generator_was_busy": generator_was_busy(runner),
                "limits": {name: getattr(limits, name) for name in Limits.names()},
                "not_met": self._faults,
                "requests": {name: endpoint.as_row() for name, endpoint in seen.items()},
                "timeline": self._timeline.windows,
            }
            write_report(Path(options.report), sections, self._begun)

    def _tell(self, **_: Any) -> None:
        """Last of all, behind locust's own tables."""
        if generator_was_busy(self._environment.runner):
            print(
                "load test: the generator's own CPU was over 90 %, and its waiting is in the latencies", file=sys.stderr
            )
        if self._faults:
            print("load test: SLO NOT MET", *self._faults, sep="\n  ", file=sys.stderr)
        else:
            print("load test: all objectives were met", file=sys.stderr)


def endpoint_of(counts: Counts) -> Endpoint:
    p50, p95, p99 = (counts.percentile_ms(q) or 0.0 for q in (50, 95, 99))
    return Endpoint(counts.answered, counts.failed, counts.shed, p50, p95, p99)


def generator_was_busy(runner: Any) -> bool:
    """Whether locust saw its own process, or one of its workers, at over 90 % of a core."""
    return bool(runner.cpu_warning_emitted or runner.worker_cpu_warning_emitted)
