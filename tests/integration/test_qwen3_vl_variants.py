"""Compiled and on a GPU, Qwen3-VL gives the vectors that it gives eager on the CPU.

That the eager CPU vectors are right is shown in tests/unit/encoders/qwen3_vl.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders import encode
from encoders.qwen3_vl.encoder import load_qwen3_vl
from tests.tiny.agreement import assert_agree
from tests.tiny.inputs import mixed_inputs
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_qwen3_vl(tmp_path_factory.mktemp("variants") / "tiny-embedding")


@pytest.fixture(scope="module")
def expected(folder: Path) -> np.ndarray:
    return encode(load_qwen3_vl(str(folder), device="cpu"), mixed_inputs(), "document").unwrap()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_compiled_layers_agree_and_are_compiled_once(folder: Path, expected: np.ndarray) -> None:
    import torch

    torch._dynamo.reset()
    inputs = mixed_inputs()
    encoder = load_qwen3_vl(str(folder), device="cpu", compile=True)
    assert_agree(encode(encoder, inputs, "document").unwrap(), expected, 0.9999, "compiled")
    with torch.compiler.set_stance("fail_on_recompile"):
        for size in (3, 5, 9):
            rows = encode(encoder, inputs[:size], "document").unwrap()
            assert_agree(rows, expected[:size], 0.9999, f"compiled, batch of {size}")


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "at_least"), [("fp32", 0.9999), ("bf16", 0.999), ("int8", 0.999), ("nf4", 0.98)])
@pytest.mark.parametrize("attention", ["sdpa", "flash_attention_2"])
def test_cuda_agrees_with_the_cpu(
    folder: Path, expected: np.ndarray, precision: str, at_least: float, attention: Any
) -> None:
    if not has_cuda():
        pytest.skip("no CUDA device: not measured on a GPU")
    if attention == "flash_attention_2" and (precision == "fp32" or importlib.util.find_spec("flash_attn") is None):
        pytest.skip("FlashAttention-2 is not installed, or cannot run in fp32")
    encoder = load_qwen3_vl(str(folder), device="cuda", precision=precision, attention=attention)
    assert_agree(encode(encoder, mixed_inputs(), "document").unwrap(), expected, at_least, f"{precision}, {attention}")
