"""Milvus that is not there, and a Lite file that another process holds: one clear error, no traceback in the log."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.base import Payload, Query, Record
from retrieval.errors import IndexFault, IndexLocked, IndexUnavailable
from retrieval.milvus.connection import MilvusConnection
from retrieval.open import MilvusOptions, open_index

CONTRACT = '{"model":"m"}'
AXIS = np.eye(4, dtype=np.float32)[0]


async def test_a_server_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1") as caught:
        await open_index(
            "milvus", dim=4, contract_json=CONTRACT, uri="http://127.0.0.1:1", milvus=MilvusOptions(deadline_s=1)
        )
    assert "\n" not in str(caught.value)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith(("pymilvus", "milvus"))]


async def test_an_error_of_milvus_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    connection = MilvusConnection(tmp_path, deadline_s=5)
    with caplog.at_level(logging.DEBUG), pytest.raises(IndexFault) as caught:
        await connection.run(lambda by: connection.client.query("nowhere", filter="", timeout=by.left_s))
    assert "\n" not in str(caught.value)
    assert "nowhere" in str(caught.value)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith(("pymilvus", "milvus"))]
    connection.close()
    with pytest.raises(IndexUnavailable, match="closed"):
        await connection.run(lambda by: None)


HOLD = """
import sys
from pathlib import Path
from retrieval.milvus.connection import MilvusConnection

connection = MilvusConnection(Path(sys.argv[1]), 30)
print("open", flush=True)
sys.stdin.read()
connection.close()
"""


def test_a_file_that_another_process_holds(tmp_path: Path) -> None:
    async def use() -> None:
        index = await open_index("milvus", dim=4, contract_json=CONTRACT, path=tmp_path)
        await index.upsert([Record("a", AXIS, Payload(kind="image"))])
        assert [hit.id for hit in (await index.search([Query(AXIS, 1)]))[0]] == ["a"]
        await index.close()

    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(IndexLocked, match=f"in use by process {holder.pid}"):
            asyncio.run(use())
        holder.communicate()
    asyncio.run(use())
