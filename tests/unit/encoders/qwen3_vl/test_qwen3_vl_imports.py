"""What a process must import: the encoders' modules no model library, the preparer's processes none either."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from encoders import EncoderInput
from encoders.qwen3_vl.encoder import load_qwen3_vl
from tests.tiny.inputs import picture

HEAVY = ("torch", "transformers", "bitsandbytes", "torchvision")


def heavy_modules_after(code: str) -> str:
    check = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_encoders_imports_no_model_library() -> None:
    modules = (
        "encoders.qwen3_vl.encoder",
        "encoders.qwen3_vl.reranker",
        "encoders.dual_tower.encoder",
        "encoders.checkpoints",
    )
    assert heavy_modules_after("\n".join(f"import {module}" for module in modules)) == "[]"


def test_preparing_in_another_process_needs_no_model_library(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    preparer = load_qwen3_vl(str(tiny_folder("embedding")), device="cpu").preparer
    item = EncoderInput(text="two dogs", image=picture(90, 60, 0))
    (tmp_path / "job").write_bytes(pickle.dumps((preparer, item)))
    code = f"import pickle\np, i = pickle.load(open({str(tmp_path / 'job')!r}, 'rb'))\nassert p(i, 'query').cost > 1"
    assert heavy_modules_after(code) == "[]"
