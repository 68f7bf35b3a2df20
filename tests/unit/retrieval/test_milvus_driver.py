"""What a process logs goes on after pymilvus was imported, which must be seen in a process that has not done it yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, logging.config, logging.handlers, sys
from pathlib import Path

file = logging.FileHandler(sys.argv[1])
buffer = logging.handlers.MemoryHandler(1000, target=file)  # as Serve has it
logging.getLogger("ray.serve").addHandler(buffer)
from retrieval.milvus.driver import load_client

configure = logging.config.dictConfig
load_client(with_lite={lite})
assert "pymilvus" in sys.modules and logging.config.dictConfig is configure
assert buffer.target is file, "closed"
logging.getLogger("ray.serve").warning("goes on")
buffer.flush()
assert "goes on" in Path(sys.argv[1]).read_text()
"""


@pytest.mark.parametrize("lite", [False, True])
def test_handlers_stay_open(lite: bool, tmp_path: object) -> None:
    program = PROGRAM.format(lite=lite)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, f"{tmp_path}/log"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
