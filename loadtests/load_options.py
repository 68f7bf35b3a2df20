"""What can be asked of a load test beyond locust's own options: shared by the command line and the locustfile.

Locust does not show the options of a locustfile in its --help; `python -m loadtests.load_test --help` does.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any, TypeVar

from loadtests.curves import CURVES
from loadtests.report import ROOT
from loadtests.slo import Limits

T = TypeVar("T", int, float)
LOCAL = "http://127.0.0.1:8000"
"""Where `make up` listens."""
KEY_VARIABLE = "CROSSRAY_API_KEY"


def add_options(parser: Any) -> None:
    """To argparse's parser or locust's."""
    sent = parser.add_argument_group("what is sent")
    sent.add_argument(
        "--shape",
        choices=list(CURVES),
        default="constant",
        help="; ".join(f"{name}: {curve.says}" for name, curve in CURVES.items()) + " [constant]",
    )
    sent.add_argument(
        "--pace", type=at_least(0.0, float), default=1.0, help="requests a second of a user; 0: no pauses [1]"
    )
    sent.add_argument(
        "--keep", type=at_least(0, int), default=20, help="uploads that a user leaves, until the end [20]"
    )
    sent.add_argument("--collection", default="default", help="searched, and uploaded to [default]")
    key = os.environ.get(KEY_VARIABLE, "")
    sent.add_argument(
        "--api-key", default=key, help=f"of scope write for those who upload [the variable {KEY_VARIABLE}]"
    )
    demanded = parser.add_argument_group("what is demanded; the exit code is 1 where it is not met")
    for name in Limits.names():
        default = getattr(Limits(), name)
        help_text = f"{Limits.HELP[name]} [{default:g}]"
        demanded.add_argument(Limits.option(name), type=at_least(0.0, float), default=default, help=help_text)
    parser.add_argument("--report", default="", help="file for the JSON of what was measured, over time, and not met")


def at_least(least: T, kind: Callable[[str], T]) -> Callable[[str], T]:
    """A type of an argument, for argparse."""

    def parse(typed: str) -> T:
        value = kind(typed)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{typed} is less than {least}")
        return value

    parse.__name__ = kind.__name__  # in what argparse says of a value that is none
    return parse


def told_command(arguments: list[str]) -> str:
    """A command of locust's as it may be written down: without the key, and with paths from the root on."""
    after_key = [False, *(argument == "--api-key" for argument in arguments)]
    hidden = ["…" if hides else one for one, hides in zip(arguments, after_key, strict=False)]
    told = ["--api-key=…" if one.startswith("--api-key=") else one for one in hidden]
    return " ".join(["python -m locust", *(one.removeprefix(f"{ROOT}/") for one in told)])
