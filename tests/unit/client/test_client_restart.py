"""The server goes away and comes back while clients work: nothing is lost, nothing is there twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crossray_client import PATIENT, Client, NewItem
from encoders.fake import FakeEncoder
from retrieval.memory import MemoryIndex
from tests.unit.client.conftest import picture
from tests.unit.cluster.conftest import served

COUNT = 60


def test_uploads_outlive_a_restart(tmp_path: Path) -> None:
    memory = MemoryIndex(64)
    under_way = threading.Event()
    begun = iter(range(COUNT))

    def upload(n: int) -> str:
        if next(begun) == COUNT // 3:
            under_way.set()
        return client.store(NewItem(image=picture("red", (16, 16 + n)), tags=["t"])).id

    with ThreadPoolExecutor(4) as pool:
        with served(FakeEncoder(work_s=0.02), tmp_path, memory=memory) as url:
            client = Client(url, retry=PATIENT, trust_env=False)
            uploads = [pool.submit(upload, n) for n in range(COUNT)]
            under_way.wait(30)
        with served(FakeEncoder(), tmp_path, http_port=int(url.rpartition(":")[2]), memory=memory), client:
            ids = [one.result(60) for one in uploads]
            assert sorted(item.id for item in client.items()) == sorted(set(ids))
            assert len(set(ids)) == COUNT
