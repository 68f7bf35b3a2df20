"""A job worker in a process of its own, without Ray: it owns an embedded index and a media folder, and is there to be
killed. Run by `chaos_jobs`.

It asks the table of jobs for work by itself, or with a broker hears Serve's task consumer and does nothing unasked.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.jobs.archives import ArchiveLimits
from deployments.jobs.intake import JobLimits
from deployments.jobs.leases import LeaseLimits
from deployments.jobs.options import Jobs, JobsOptions
from deployments.jobs.worker import JobWorker, WorkLimits
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import FolderMedia
from retrieval.open import open_index

CONTRACT = '{"model":"chaos"}'
WORK_S = 0.01
"""Time of one forward call."""
IDLE_S = 0.02
HEALTH_S = 0.5


def options(folder: Path, database_url: str) -> JobsOptions:
    """The same for the parent, which takes jobs, and for its workers. Short leases: the killing does not wait."""
    return JobsOptions(
        database_url=database_url,
        spool_path=folder / "spool",
        folders=(),
        limits=JobLimits(archive=ArchiveLimits()),
        leases=LeaseLimits(lease_s=1.5, attempts=100),
        work=WorkLimits(concurrency=8, first_pause_s=0.05, longest_pause_s=0.5),
        max_workers=1,
    )


async def work(folder: Path, database_url: str, broker_url: str | None) -> None:
    """Until it is killed."""
    encoder = FakeEncoder(work_s=WORK_S)
    index = await open_index("embedded", dim=encoder.info.dim, contract_json=CONTRACT, path=folder / "index")
    encoding = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    rows, limits = LocalIndex(index), ImageLimits()
    files = ItemFiles(FolderMedia(folder / "media"), rows, limits, sole_writer=True)
    items = ItemService(LocalEncoder(encoding), rows, files, encoder.info, limits)
    worker = Jobs(options(folder, database_url)).worker(items)
    check_health = None if broker_url is None else listen(worker, broker_url, asyncio.get_running_loop())
    print("ready", flush=True)
    while True:
        if check_health is None:
            await worker.work(1.0)
        else:
            check_health()
        await asyncio.sleep(IDLE_S if check_health is None else HEALTH_S)


def listen(worker: JobWorker, broker_url: str, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Serve's consumer, in threads of its own as in a replica. Returns what a replica's health check calls."""
    from ray.serve.task_consumer import instantiate_adapter_from_config

    from deployments.jobs.broker import TASK, processor_config, send_rings

    # The one thing of a replica that the consumer asks for: its name.
    processor: Any = import_module("ray.serve.task_processor")
    processor.get_replica_context = lambda: SimpleNamespace(replica_tag="chaos")
    adapter = instantiate_adapter_from_config(processor_config(broker_url))

    def on_ring() -> None:
        left_s = asyncio.run_coroutine_threadsafe(worker.work(1.0), loop).result()
        if left_s is not None and left_s <= 0:
            send_rings(adapter, 1)

    adapter.register_task_handle(on_ring, TASK)
    start: Callable[[], None] = adapter.start_consumer
    start()
    return start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("database_url")
    parser.add_argument("--broker-url")
    arguments = parser.parse_args()
    asyncio.run(work(arguments.folder, arguments.database_url, arguments.broker_url))


if __name__ == "__main__":
    main()
