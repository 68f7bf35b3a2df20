"""What importing the package loads, what a missing extra says, and that errors cross processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from retrieval import errors
from retrieval.open import open_index

HEAVY = ("torch", "ray", "faiss", "pymilvus", "milvus_lite", "fastapi", "httpx", "encoders", "fsspec", "s3fs")


def test_importing_retrieval_loads_nothing_heavy() -> None:
    modules = "retrieval, retrieval.open, retrieval.memory, retrieval.media"
    code = f"import sys, {modules}; print([m for m in {HEAVY} if m in sys.modules])"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


async def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    for _ in range(2):
        with pytest.raises(errors.MissingExtra, match=r"pip install 'crossray\[milvus\]'"):
            await open_index("milvus", dim=4, contract_json="{}", path=tmp_path)


async def test_a_package_of_every_install_needs_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint must name something that brings the package: pyproject has it among the dependencies of all."""
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(errors.MissingExtra, match=r"'faiss-cpu' is not installed: run  pip install crossray$"):
        await open_index("embedded", dim=4, contract_json="{}", path=tmp_path)
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert any(requirement.startswith("faiss-cpu") for requirement in project["dependencies"])


ERRORS = [
    errors.InvalidRecord("message", "records[0].id"),
    errors.InvalidQuery("message", "top_k"),
    errors.Unsupported("message", "mode"),
    errors.InvalidFilter("message", "filter.and[0]"),
    errors.SpaceMismatch("{}", '{"model":"m"}'),
    errors.IndexLocked("message"),
    errors.IndexUnavailable("message", 2.5),
    errors.IndexFault("message"),
    errors.MediaUnavailable("message"),
    errors.StorageFull("message"),
    errors.IncompatibleIndex("message"),
    errors.MissingExtra("pymilvus", "milvus"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_cross_processes(error: errors.RetrievalError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_every_error_is_in_the_list_above() -> None:
    assert {type(error) for error in ERRORS} == set(errors.RetrievalError.__subclasses__())
