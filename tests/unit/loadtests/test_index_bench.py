"""The index benchmark at a size that shows that its parts fit together: engines, recall, verdicts, page, plots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from loadtests.bench_index import verdicts
from loadtests.index_data import exact_answers, make_vectors, share_of
from loadtests.index_measures import bench_types
from loadtests.index_page import write_page


async def test_a_section_from_inserts_to_the_page(tmp_path: Path) -> None:
    section = await bench_types(("hnsw", "ivf-sq8"), 1200, 20, 0.02, tmp_path / "work", with_libraries=True)
    engines = {engine["name"]: engine for engine in section["engines"]}
    assert list(engines) == [
        "embedded hnsw", "FAISS HNSW-FP16 refined", "embedded ivf-sq8", "FAISS IVF-SQ8 refined",
        "FAISS HNSW", "hnswlib", "usearch",
    ]  # fmt: skip
    for name, engine in engines.items():
        assert section["recall_by_effort"][name][-1][1] >= 0.95, "tuned"
        assert engine["recall"] >= 0.85
        assert min(engine["qps_1"], engine["qps_8"], engine["qps_32"]) > 0
    assert engines["embedded hnsw"]["recall"] >= engines["FAISS HNSW-FP16 refined"]["recall"] - 0.05, "the same graph"
    for result in section["types"].values():
        assert list(result["filtered"]) == ["50.0%", "10.0%", "1.0%", "0.1%"]
        assert all(row["recall"] == 1.0 for row in result["filtered"].values()), "so few rows are compared exactly"
    measured = {"command": "python -m loadtests.bench_index", "commit": "abc1234", "date": "2026-01-01"}
    sections = {
        "100k": {"rows": 1200, "quick": True, "measured": measured, **section},
        "milvus": {"rows": 1200, "quick": True, "measured": measured, "skipped": "no root"},
    }
    machine = {"cores": 2, "processor": "a processor"}
    report = {"command": "python", "commit": "abc", "date": "2026-01-01", "machine": machine, "sections": sections}
    file = tmp_path / "result.json"
    file.write_text(json.dumps(report | {"targets_met": verdicts(sections)}))
    write_page(file, tmp_path)
    page = (tmp_path / "index-benchmark.md").read_text()
    assert f"| embedded hnsw | {engines['embedded hnsw']['effort']} |" in page
    assert "Skipped: no root." in page
    assert "![index-100k.png](plots/index-100k.png)" in page
    assert (tmp_path / "plots" / "index-100k.png").read_bytes().startswith(b"\x89PNG")


def engine(name: str, *, is_ours: bool, qps: int, recall: float = 0.96) -> dict[str, object]:
    rates = {"qps_1": qps, "qps_8": qps, "qps_32": qps}
    return {"name": name, "family": "hnsw", "is_ours": is_ours, "recall": recall, **rates}


def test_a_fast_engine_of_low_recall_is_not_what_is_compared_with() -> None:
    ours = engine("embedded", is_ours=True, qps=1000)
    for other, holds in (
        (engine("a", is_ours=False, qps=1400), True),
        (engine("b", is_ours=False, qps=1600), False),
        (engine("c", is_ours=False, qps=1600, recall=0.9), True),
    ):
        found = verdicts({"100k": {"rows": 100, "types": {}, "engines": [ours, other]}})
        assert set(found.values()) == {holds}
    low = engine("embedded", is_ours=True, qps=1000, recall=0.9)
    assert set(
        verdicts({"100k": {"rows": 100, "types": {}, "engines": [low, ours | {"is_ours": False}]}}).values()
    ) == {False}


def test_the_data() -> None:
    rows = make_vectors(600, seed=2)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert sorted(share_of(row, 600) for row in range(600)) == [row / 600 for row in range(600)]
    allowed = np.arange(600) % 2 == 0
    (answer,) = exact_answers(rows, rows[4:5], 5, allowed)
    assert (4 in answer, all(row % 2 == 0 for row in answer), len(answer)) == (True, True, 5)
