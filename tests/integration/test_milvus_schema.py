"""A Milvus collection from before a column was added: refused with what to do, never half used."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.errors import IncompatibleIndex
from retrieval.milvus import schema
from retrieval.open import open_index

CONTRACT = '{"model":"m"}'


async def test_a_collection_that_lacks_a_column_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = schema.build_schema

    def build_as_before(client: object, dim: int, contract_json: str) -> object:
        built = build(client, dim, contract_json)
        built._fields = [field for field in built.fields if not field.name.startswith("ocr_")]
        return built

    with monkeypatch.context() as old:
        old.setattr("retrieval.milvus.collection.build_schema", build_as_before)
        old.setattr("retrieval.milvus.collection.PAYLOAD_FIELDS", ("id", "kind"))
        await (await open_index("milvus", dim=4, contract_json=CONTRACT, path=tmp_path)).close()
    with pytest.raises(IncompatibleIndex, match="older Crossray and has no ocr_read, ocr_text: export it"):
        await open_index("milvus", dim=4, contract_json=CONTRACT, path=tmp_path)
