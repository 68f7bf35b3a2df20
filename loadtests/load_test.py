"""Load a running Crossray with locust, and fail where its answers are too slow or too many are errors.

    python -m loadtests.load_test                                       ten users for a minute, after  make up
    python -m loadtests.load_test --shape steps --users 100             where does p99 leave its limit?
    python -m loadtests.load_test --host https://photos.example --users 20 --time 10m TextSearcher
    python -m loadtests.load_test --web                                 start and watch it in a browser, on port 8089

Users at the end: TextSearcher, ImageSearcher, Uploader, or Mixed, who does all three and is meant where none is named.
They make their own texts and pictures, and delete what they uploaded. Every other option goes to locust as it is:
--processes 4 uses four cores; --master --expect-workers 8, and --worker --master-host HOST on the others, use eight
machines. A report is left as HTML, CSV and JSON. Exit codes: 0; 1 where an objective was not met; 2 where the API could
not be reached. docs/load-tests.md tells more.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from loadtests.load_options import LOCAL, add_options, at_least

LOCUSTFILE = Path(__file__).parent / "locustfile.py"
USERS, TIME, OUTPUT = 10, "60s", "load-out"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m loadtests.load_test",
        usage="%(prog)s [options] [locust's options] [user ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--host", default=LOCAL, help=f"base URL of the API [{LOCAL}]")
    made.add_argument("--users", "-u", type=at_least(1, int), default=USERS, help=f"at the highest [{USERS}]")
    made.add_argument("--time", "-t", help=f"how long, as 90s, 10m or 1h [the shape's own, {TIME} for a constant one]")
    made.add_argument("--output", type=Path, default=Path(OUTPUT), help=f"folder of the reports [{OUTPUT}]")
    made.add_argument("--web", action="store_true", help="locust's page on 127.0.0.1:8089 instead of a run at once")
    add_options(made)
    return made


def locust_command(arguments: list[str]) -> list[str]:
    """What runs, from what was typed: options that are not ours, and users, are passed on as they are."""
    ours, others = parser().parse_known_args(arguments)
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE)]
    if "--worker" in others:
        return command + others
    command += ["--host", ours.host.rstrip("/"), "--users", str(ours.users)]
    time = ours.time or (TIME if ours.shape == "constant" and not ours.web else None)
    command += [] if time is None else ["--run-time", time]
    # A master takes orders from whoever reaches its port: the workers of --processes are on this machine.
    command += [] if "--master" in others else ["--master-bind-host", "127.0.0.1"]
    command += ["--web-host", "127.0.0.1"] if ours.web else ["--headless", "--only-summary"]
    command += ["--csv", str(ours.output / "run"), "--html", str(ours.output / "report.html")]
    command += ["--report", ours.report or str(ours.output / "report.json")]
    for name, value in vars(ours).items():
        if name not in ("host", "users", "time", "output", "web", "report", "api_key"):
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command + others


def environment(arguments: list[str]) -> dict[str, str]:
    """The key travels in the environment, where neither `ps` nor a report shows it."""
    ours, _ = parser().parse_known_args(arguments)
    return {**os.environ, "CROSSRAY_API_KEY": ours.api_key}


def main() -> None:
    os.execve(sys.executable, locust_command(sys.argv[1:]), environment(sys.argv[1:]))


if __name__ == "__main__":
    main()
