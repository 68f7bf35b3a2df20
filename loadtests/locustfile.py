"""The locustfile: users, shape and judge put together. `python -m loadtests.load_test` runs it, and tells how.

Importing this imports locust, which patches the standard library for gevent: only locust's own processes do.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from typing import Any

import gevent
from locust import LoadTestShape, events
from locust.runners import WorkerRunner

from loadtests.curves import users_at
from loadtests.load_options import KEY_VARIABLE, LOCAL, add_options
from loadtests.locust_users import ImageSearcher, Mixed, TextSearcher, Uploader, photos
from loadtests.recorder import Recorder

__all__ = ["ImageSearcher", "Mixed", "Shape", "TextSearcher", "Uploader"]

# Before workers are forked, and before they connect: one that is busy when its master calls counts as lost.
photos()

STOP_S = 30
"""For requests under way at the end, and for uploaded items to be deleted."""


class Shape(LoadTestShape):
    """The curve of `--shape`, from -u users at its highest and -t seconds."""

    use_common_options = True
    runner: Any  # of whose options the annotations do not know

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        users = users_at(options.shape, self.get_run_time(), options.num_users, options.run_time)
        return None if users is None else (users, options.spawn_rate)


@events.init_command_line_parser.add_listener
def teach(parser: Any) -> None:
    parser.set_defaults(host=LOCAL, stop_timeout=STOP_S)
    add_options(parser)


@events.init.add_listener
def prepare(environment: Any, runner: Any, **_: Any) -> None:
    options = environment.parsed_options
    if not options.user_classes:
        environment.user_classes[:] = [Mixed]
    options.num_users = options.num_users or 10
    if options.spawn_rate is None:
        options.spawn_rate = options.num_users
    if isinstance(runner, WorkerRunner):
        return
    if options.headless and (fault := unreachable(environment.host, options.api_key)):
        print(f"load test: {fault}", file=sys.stderr)
        sys.exit(2)
    Recorder(environment, gevent.spawn)


def unreachable(url: str, api_key: str) -> str | None:
    """What keeps a test from being of any use, and what to do; None where the API answers."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/models", headers=headers), timeout=10):
            return None
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return f"{url} answers {error.code}: give a key with --api-key or {KEY_VARIABLE}"
        return f"{url}/v1/models answers {error.code}: is that a Crossray?"
    except ValueError:
        return f"{url!r} is no base URL: it begins with http:// or https://"
    except OSError as error:
        return f"{url} does not answer ({error}): start one with  make up , or say where it is with --host"
