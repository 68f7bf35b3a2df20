"""The section of `bench_index` on a Milvus server of its own."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from loadtests.index_data import DIM, exact_answers, make_vectors
from loadtests.index_engines import TOP_K
from loadtests.index_measures import CLIENTS, CONTRACT, ask, filters, in_tasks, insert, percentiles
from loadtests.milvus_server import MilvusServer, missing_for_server
from retrieval.open import MilvusOptions, open_index


async def bench_milvus(rows: int, queries: int, seconds: float, folder: Path) -> dict[str, Any]:
    """A server of its own, through Crossray's index: answers carry payloads."""
    if reason := missing_for_server():
        return {"skipped": reason}
    matrix, asked = make_vectors(rows, seed=2), make_vectors(queries, seed=4)
    answers = exact_answers(matrix, asked, TOP_K)
    server = MilvusServer(folder / "server")
    try:
        server.start()  # in this thread, with which the server would end
        index = await open_index(
            "milvus", dim=DIM, contract_json=CONTRACT, uri=server.uri, milvus=MilvusOptions(type="hnsw", deadline_s=60)
        )
        result: dict[str, Any] = {"insert_rows_per_s": round(await insert(index, matrix))}
        begun = time.perf_counter()
        await asyncio.to_thread(_wait_for_milvus, server.uri, rows)
        result["build_after_inserts_s"] = round(time.perf_counter() - begun, 1)
        found = [await ask(index, query) for query in asked]
        right = sum(len(rows & answer) for (_, rows), answer in zip(found, answers, strict=True))
        payload: dict[str, Any] = percentiles([s for s, _ in found])
        payload["recall"] = round(right / (TOP_K * len(asked)), 4)
        for clients in CLIENTS:
            payload[f"qps_{clients}"] = round(await in_tasks(lambda query: ask(index, query), asked, clients, seconds))
        result |= {"payload": payload, "filtered": await filters(index, matrix, asked[:40])}
        result["health"] = (await index.health()).detail
        await index.close()
    finally:
        server.close()
    return {"server": result}


def _wait_for_milvus(uri: str, rows: int, limit_s: float = 400) -> None:
    """Until every sealed segment is indexed: before, it searches them by brute force."""
    from pymilvus import MilvusClient

    client = MilvusClient(uri)
    ending = time.monotonic() + limit_s
    try:
        for collection in client.list_collections():
            client.flush(collection)
            field = next(iter(client.list_indexes(collection)))
            while time.monotonic() < ending:
                state = client.describe_index(collection, field)
                if int(state["indexed_rows"]) >= rows and int(state["pending_index_rows"]) == 0:
                    break
                time.sleep(1)
    finally:
        client.close()
