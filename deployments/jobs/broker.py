"""The doorbell through a broker: Ray Serve's task consumer, which is Celery, over Redis.

A message says that there is work and nothing else. It may be lost (a killed Redis, a killed worker: Serve's consumer is
not safe against either) or come twice: the table of jobs knows what is to be done, and the sweeper rings again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ray.serve.schema import CeleryAdapterConfig, TaskProcessorConfig
from ray.serve.task_consumer import task_handler

from deployments.jobs.deployment import IngestDeployment
from deployments.jobs.sweeper import SWEEP_INTERVAL_S

QUEUE = "crossray-jobs"
TASK = "crossray.jobs.work"
EXPIRES_S = 3 * SWEEP_INTERVAL_S
"""What nobody heard for so long was rung again since."""


def processor_config(broker_url: str) -> TaskProcessorConfig:
    """Results stay in the worker: nobody asks for them. A failed turn is not repeated by Celery, but rung again."""
    return TaskProcessorConfig(
        queue_name=QUEUE,
        adapter_config=CeleryAdapterConfig(
            broker_url=broker_url,
            backend_url="cache+memory://",
            app_custom_config={
                "broker_connection_retry_on_startup": True,
                "broker_connection_max_retries": None,
                "worker_hijack_root_logger": False,
                "task_publish_retry": False,
                "worker_send_task_events": False,
            },
            broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "visibility_timeout": 600},
        ),
        max_retries=0,
    )


def send_rings(adapter: Any, count: int) -> None:
    """Blocking. Raises what Celery raises where the broker does not answer."""
    for _ in range(count):
        adapter.enqueue_task_sync(TASK, expires=EXPIRES_S)


class BrokerIngestDeployment(IngestDeployment):
    """A worker that hears the broker; to be wrapped by Serve's `task_consumer`."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._adapter: Any  # given by Serve's wrapper
        self._loop = asyncio.get_running_loop()

    @task_handler(name=TASK)
    def on_ring(self) -> None:
        """One turn, in a thread of Celery's. Where work is left it rings for itself: the turn may be the last one of
        a replica that is to stop."""
        left_s = asyncio.run_coroutine_threadsafe(self.work(), self._loop).result()
        if left_s is not None and left_s <= 0:
            send_rings(self._adapter, 1)

    async def check_health(self) -> None:
        """A consumer whose broker was killed ends, with an error in kombu's own cleaning up (5.7), and the replica
        would be deaf from then on. To start one that runs does nothing."""
        await asyncio.to_thread(self._adapter.start_consumer)
