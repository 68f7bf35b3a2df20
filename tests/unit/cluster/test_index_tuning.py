"""`crossray index-tune`: from an export and from an index folder; what it recommends is what an index then does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cluster.cli import build_app
from cluster.errors import BadExport, ClusterError
from cluster.index_tuning import Measured, load_rows, only_index_below, recommend, settings_for, tune_index
from cluster.settings import load_settings
from retrieval.base import Payload, Query, Record, Vector
from retrieval.errors import IncompatibleIndex, IndexLocked
from retrieval.open import EmbeddedOptions, IndexType, open_index

DIM = 16
AUTO = EmbeddedOptions()


def vectors(count: int) -> Vector:
    random = np.random.default_rng(0)
    rows = random.standard_normal((60, DIM))[random.integers(0, 60, count)] + 0.4 * random.standard_normal((count, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


ROWS = vectors(2200)


def fill(folder: Path, options: EmbeddedOptions = AUTO, *, query: Vector | None = None) -> str:
    """Stores ROWS; with a query, says what structure answered it."""

    async def run() -> str:
        index = await open_index("embedded", dim=DIM, contract_json="{}", path=folder, embedded=options)
        await index.upsert([Record(f"{i}", row, Payload(kind="image")) for i, row in enumerate(ROWS)])
        while query is not None and "building" in (await index.health()).detail:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if query is not None:
            await index.search([Query(query, 10)])
        structure = (await index.health()).structure
        await index.close()
        return structure

    return asyncio.run(run())


def export(path: Path, labels: dict[str, str] | None = None) -> Path:
    schema = pa.schema([pa.field("vector", pa.list_(pa.float32(), DIM))], metadata=labels or {"crossray.version": "1"})
    pq.write_table(pa.table({"vector": ROWS.tolist()}, schema=schema), path)
    return path


def test_the_rows_of_a_folder_and_of_an_export_are_the_same(tmp_path: Path) -> None:
    fill(tmp_path / "embedded" / "abc")
    folder = only_index_below(tmp_path / "embedded")
    seen: list[int] = []
    np.testing.assert_array_equal(load_rows(folder, seen.append), ROWS)
    assert sum(seen) == len(ROWS)
    np.testing.assert_array_equal(load_rows(export(tmp_path / "v.parquet")), ROWS)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no embedded index below"):
        only_index_below(tmp_path)
    with pytest.raises(IncompatibleIndex, match="no embedded index in"):
        load_rows(tmp_path)
    with pytest.raises(BadExport):
        load_rows(export(tmp_path / "foreign.parquet", {"other": "1"}))
    for name in ("a", "b"):
        fill(tmp_path / "embedded" / name)
    with pytest.raises(ClusterError, match="2 indexes below"):
        only_index_below(tmp_path / "embedded")


async def test_an_index_in_use_is_left_alone(tmp_path: Path) -> None:
    index = await open_index("embedded", dim=DIM, contract_json="{}", path=tmp_path)
    with pytest.raises(IndexLocked, match="in use by process"):
        load_rows(tmp_path)
    await index.close()


def test_every_type_reaches_the_recall_and_its_settings_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    tuning = tune_index(ROWS, 0.9, options=AUTO, queries=40, advance=seen.append)
    assert [one.type for one in tuning.measured] == ["flat", "ivf-flat", "ivf-sq8", "hnsw"]
    assert all(one.recall >= 0.9 for one in tuning.measured)
    assert tuning.measured[0].recall == tuning.measured[0].recall_between == 1.0
    assert sum(seen) == 3 * (len(ROWS) - 40)
    for one in tuning.measured:
        for name, value in settings_for(one, len(ROWS)).items():
            monkeypatch.setenv(name, value)
        options = load_settings().index.embedded_options
        assert fill(tmp_path / one.type, options, query=ROWS[0]) == one.type


def measured(type: IndexType, recall: float, p50_ms: float, mib: float) -> Measured:
    return Measured(type, 0.95, "", recall, recall, p50_ms, p50_ms, 1.0, mib, EmbeddedOptions(type))


def test_what_is_recommended() -> None:
    flat, lean, fast = measured("flat", 1.0, 9, 0), measured("ivf-sq8", 0.97, 0.8, 40), measured("hnsw", 0.99, 0.5, 170)
    assert recommend([flat, lean, fast], 0.95) is lean, "a quarter of the memory, and not twice the time"
    assert recommend([flat, lean, fast], 0.98) is fast
    assert recommend([flat, lean, fast], 1.0) is flat
    assert recommend([lean, fast], 1.0) is None
    assert recommend([measured("flat", 1.0, 0.3, 0), lean, fast], 0.95).type == "flat", "so few rows"  # type: ignore[union-attr]
    assert settings_for(fast, 100_000) == {
        "CROSSRAY_INDEX__TYPE": "hnsw",
        "CROSSRAY_INDEX__TARGET_RECALL": "0.95",
        "CROSSRAY_INDEX__HNSW_M": "16",
        "CROSSRAY_INDEX__HNSW_EF_CONSTRUCTION": "100",
    }
    assert settings_for(lean, 6_000)["CROSSRAY_INDEX__FLAT_LIMIT"] == "3000"


def test_the_command(tmp_path: Path) -> None:
    file = export(tmp_path / "v.parquet")
    run = CliRunner().invoke
    done = run(
        build_app(), ["index-tune", str(file), "--type", "flat", "--type", "ivf-sq8", "--queries", "20", "--json"]
    )
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert [one["type"] for one in answer["measured"]] == ["flat", "ivf-sq8"]
    assert answer["settings"]["CROSSRAY_INDEX__TYPE"] == answer["recommended"]
    shown = run(build_app(), ["index-tune", str(file), "--type", "flat", "--queries", "20"])
    assert "export CROSSRAY_INDEX__TYPE=flat" in shown.stdout
    wrong = run(build_app(), ["index-tune", str(file), "--type", "annoy"])
    assert (wrong.exit_code, "not one of flat" in wrong.output) == (2, True)


def test_too_few_vectors_to_tune() -> None:
    with pytest.raises(ClusterError, match="there are 100 vectors"):
        tune_index(ROWS[:100], 0.95, options=AUTO)
