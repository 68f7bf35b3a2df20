"""The yardstick: the least that could do the job. One uvicorn process with FastAPI, one encoder, one micro-batching
queue and an index in memory; no Ray, no durability, no filters, no limits.

    python -m loadtests.yardstick --encoder fake --port 8440

It answers the two calls that `bench_serving` sends. What Crossray costs beyond it is the price of everything else.
"""

import argparse
import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request

from deployments.content import content_id
from deployments.thread_names import DEVICE, name_this_thread
from encoders import Encoder, EncoderInput, Role, Vectors, encode
from encoders.registry import load_encoder

MAX_BATCH_SIZE = 16
FIRST_ROWS = 1024


class MicroBatcher:
    """Takes what waits, up to a batch, whenever the encoder is free."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: asyncio.Queue[tuple[EncoderInput, Role, asyncio.Future[Vectors]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, DEVICE, name_this_thread, (DEVICE,))

    async def __call__(self, item: EncoderInput, role: Role) -> Vectors:
        """A unit vector `(dim,)`. Raises InputError."""
        self._task = self._task or asyncio.create_task(self._run())
        future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, role, future))
        return await future

    async def _run(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < MAX_BATCH_SIZE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            role = batch[0][1]  # a run of the benchmark sends one kind of request
            items = [item for item, _, _ in batch]
            encoded = await asyncio.get_running_loop().run_in_executor(self._thread, encode, self._encoder, items, role)
            for (_, _, future), vector, error in zip(batch, encoded.vectors, encoded.errors, strict=True):
                future.set_exception(error) if error is not None else future.set_result(vector)


class Rows:
    """Ids and vectors in memory, searched exactly."""

    def __init__(self, dim: int) -> None:
        self._matrix = np.zeros((FIRST_ROWS, dim), dtype=np.float32)
        self._ids: list[str] = []
        self._known: set[str] = set()

    def add(self, id: str, vector: Vectors) -> bool:
        """Whether it is new."""
        if id in self._known:
            return False
        if len(self._ids) == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[len(self._ids)] = vector
        self._ids.append(id)
        self._known.add(id)
        return True

    def search(self, vector: Vectors, top_k: int) -> list[dict[str, Any]]:
        scores = self._matrix[: len(self._ids)] @ vector
        return [{"id": self._ids[row], "score": float(scores[row])} for row in np.argsort(-scores)[:top_k]]


def build(encoder: Encoder) -> FastAPI:
    app = FastAPI()
    batcher = MicroBatcher(encoder)
    rows = Rows(encoder.info.dim)

    @app.post("/v1/search")
    async def search(request: Request) -> dict[str, Any]:
        body = await request.json()
        vector = await batcher(EncoderInput(text=body["text"]), "query")
        return {"hits": rows.search(vector, body["top_k"])}

    @app.post("/v1/items")
    async def add(request: Request) -> dict[str, Any]:
        async with request.form() as form:
            image = await form["image"].read()  # type: ignore[union-attr]
        id = content_id(image, None)
        return {"id": id, "created": rows.add(id, await batcher(EncoderInput(image=image), "document"))}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="fake")
    parser.add_argument("--options", default="{}", help="the encoder's options, as JSON")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.encoder, **json.loads(arguments.options))
    uvicorn.run(build(encoder), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
