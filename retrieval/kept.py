"""What an index keeps, whether it is there, and its end. The counterpart of `retrieval.open`."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from retrieval.durable import sync_folder
from retrieval.open import Backend, MilvusOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptIndex:
    """The index that `open_index` opens with these arguments, while nobody has it open."""

    backend: Backend
    dim: int
    contract_json: str
    path: Path | None = None
    uri: str | None = None
    milvus: MilvusOptions = field(default_factory=MilvusOptions)

    async def exists(self) -> bool:
        """Whether there is what `delete` would remove. Raises IndexUnavailable, MissingExtra."""
        if self.uri is not None:
            from retrieval.milvus.delete import collection_exists

            return await asyncio.to_thread(collection_exists, self.uri, self.dim, self.contract_json, self.milvus)
        return self._folder is not None and await asyncio.to_thread(self._folder.exists)

    async def delete(self) -> None:
        """For good; one that is not there is fine. Raises IndexUnavailable, MissingExtra."""
        if self.uri is not None:
            from retrieval.milvus.delete import delete_collection

            await asyncio.to_thread(delete_collection, self.uri, self.dim, self.contract_json, self.milvus)
        elif self._folder is not None:
            await asyncio.to_thread(_remove_folder, self._folder)

    @property
    def _folder(self) -> Path | None:
        return None if self.backend == "memory" else self.path


def _remove_folder(path: Path) -> None:
    """Under another name first: a folder that is half removed is not opened as an index. Doing it again, after a
    process that was killed, finishes it."""
    doomed = path.with_name(f".{path.name}.deleted")
    for _ in range(2):  # what was left of an earlier time, then this one
        if doomed.exists():
            shutil.rmtree(doomed)
        if path.exists():
            path.rename(doomed)
            sync_folder(path.parent)
