"""What a write has flushed to disk by the time it is acknowledged, and in which order, as the kernel saw it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STORE_ONE = """
import asyncio, io, os, sys
from pathlib import Path
from PIL import Image
from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import FolderMedia, open_index

async def main(folder):
    encoder = FakeEncoder()
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    index = await open_index(
        "embedded", dim=64, contract_json=encoder.info.contract.to_json(), path=folder / "index"
    )
    info, limits, rows = encoder.info, ImageLimits(), LocalIndex(index)
    files = ItemFiles(FolderMedia(folder / "media"), rows, limits, sole_writer=True, thumbnails=True)
    items = ItemService(LocalEncoder(worker), rows, files, info, limits)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    os.write(1, b"begin")
    await items.add(Item(image=buffer.getvalue()), Stages())
    os.write(1, b"acknowledged")
    await worker.close()
    await index.close()

asyncio.run(main(Path(sys.argv[1])))
"""
STRACE = shutil.which("strace")


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_an_acknowledged_photo_is_flushed_file_first(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    traced = [STRACE or "", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    command = [*traced, sys.executable, "-c", STORE_ONE, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "ptrace" in done.stderr:
        pytest.skip("this process may not trace others")
    assert done.stdout == "beginacknowledged", done.stderr
    calls = trace.read_text()
    write = calls[calls.index('"begin"') : calls.index('"acknowledged"')]
    flushed = [path.removeprefix(str(tmp_path)) for path in re.findall(r"f(?:data)?sync\(\d+<([^>]*)>", write)]
    kinds = ["row" if "/index/" in path else "file" if path.endswith(".partial") else "name" for path in flushed]
    assert kinds[-1] == "row", flushed
    assert kinds.count("file") == kinds.count("row") == 1, flushed
    file = kinds.index("file")
    assert "name" in kinds[file:-1], "after the file the folder that names it, and only then the row"
