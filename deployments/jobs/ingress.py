"""Jobs in an ingress replica: the service behind its routes, the sweeper, and the worker where it works itself."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from deployments.jobs.doorbells import BrokerDoorbell, CallDoorbell, JobDoorbell
from deployments.jobs.options import TURN_S, Jobs, JobsOptions
from deployments.jobs.sweeper import JobSweeper
from deployments.jobs.tables import Swept
from deployments.recorders import JobMetrics
from deployments.resolving import LiveItems


class IngressJobs:
    """Lives as long as the replica."""

    def __init__(self, options: JobsOptions, items: LiveItems, ingest: Any = None) -> None:
        """`ingest` is the handle of the workers' deployment; None where this process is the worker."""
        metrics = JobMetrics()
        self._jobs = Jobs(options)
        if ingest is None:
            worker = self._jobs.worker(items, metrics.attempt)
            self._calling = CallDoorbell(lambda: worker.work(TURN_S), max_workers=1, worker_items=1)
        else:
            self._calling = CallDoorbell(
                lambda: ingest.work.remote(), max_workers=options.max_workers, worker_items=options.worker_items
            )
        self._doorbell: JobDoorbell = (
            self._calling if options.broker_url is None else _through_broker(options, self._calling)
        )
        self.service = self._jobs.service(self._doorbell, items.require)

        def on_sweep(swept: Swept) -> None:
            metrics.swept(swept.counts, swept.due, swept.oldest_pending_s)

        sweeper = JobSweeper(self._jobs.table, self._jobs.spool, self._doorbell, on_sweep=on_sweep)
        self._sweeping = asyncio.create_task(sweeper.run())

    async def close(self) -> None:
        """Gives back what is leased here."""
        self._sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeping
        if self._doorbell is not self._calling:
            await self._doorbell.close()
        await self._calling.close()
        self._jobs.close()


def _through_broker(options: JobsOptions, fallback: CallDoorbell) -> JobDoorbell:
    """Celery is loaded only where there is a broker."""
    from ray.serve.task_consumer import instantiate_adapter_from_config

    from deployments.jobs.broker import processor_config, send_rings

    assert options.broker_url is not None
    adapter = instantiate_adapter_from_config(processor_config(options.broker_url))
    return BrokerDoorbell(
        lambda count: send_rings(adapter, count),
        fallback,
        max_workers=options.max_workers,
        worker_items=options.worker_items,
    )
