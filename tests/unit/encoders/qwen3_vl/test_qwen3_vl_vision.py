"""The vision tower's shortcuts give the numbers of what they replace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders import InputError, ModelUnavailable
from encoders.qwen3_vl.preparer import PixelBudget

HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def tower(tiny_folder: Callable[[str], Path]) -> Any:
    import torch
    from transformers import Qwen3VLModel

    return Qwen3VLModel.from_pretrained(tiny_folder("embedding"), dtype=torch.float32).eval().visual


def test_linear_patch_embedding_equals_conv3d(tower: Any) -> None:
    import torch

    from encoders.qwen3_vl.vision import LinearPatchEmbedding

    patches = torch.randn(300, 3 * 2 * 16 * 16, generator=torch.Generator().manual_seed(11))
    with torch.no_grad():
        convolved = tower.patch_embed(patches)
        linear = LinearPatchEmbedding(tower.patch_embed.proj)(patches)
    error = float((convolved - linear).abs().max())
    print(f"largest difference {error:.1e} at values up to {float(convolved.abs().max()):.1f}")
    assert error <= 1e-5


def test_linear_patch_embedding_equals_conv3d_at_the_true_2b_shape() -> None:
    import torch

    from encoders.qwen3_vl.vision import LinearPatchEmbedding

    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(3, 1024, (2, 16, 16), (2, 16, 16))
    patches = torch.randn(64, 3 * 2 * 16 * 16)
    with torch.no_grad():
        convolved = convolution(patches.view(-1, 3, 2, 16, 16)).flatten(1)
        assert float((convolved - LinearPatchEmbedding(convolution)(patches)).abs().max()) <= 1e-5


@pytest.mark.parametrize("odd", [{"stride": (2, 8, 8)}, {"padding": 1}, {"dilation": 2}])
def test_a_convolution_that_is_no_linear_layer_is_refused(odd: dict[str, Any]) -> None:
    import torch

    from encoders.qwen3_vl.vision import LinearPatchEmbedding

    convolution = torch.nn.Conv3d(3, 8, (2, 16, 16), **{"stride": (2, 16, 16), **odd})
    with pytest.raises(ModelUnavailable, match="not a linear layer"):
        LinearPatchEmbedding(convolution)
    with pytest.raises(ModelUnavailable, match="not a Conv3d"):
        LinearPatchEmbedding(torch.nn.Identity())


def test_attention_by_runs_equals_attention_by_picture(tower: Any) -> None:
    import torch

    from encoders.qwen3_vl.vision import RunAttention, Runs, picture_runs

    lengths = [16, 16, 16, 24, 16, 8, 8]
    states = torch.randn(sum(lengths), 64, generator=torch.Generator().manual_seed(1))
    angles = torch.rand(sum(lengths), 16, generator=torch.Generator().manual_seed(2))
    rotary = (angles.cos(), angles.sin())
    boundaries = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    attention = tower.blocks[0].attn
    with torch.no_grad():
        expected = attention(states, cu_seqlens=boundaries, position_embeddings=rotary)
        found = RunAttention(attention)(states, position_embeddings=rotary, runs=picture_runs(lengths))
        across = RunAttention(attention)(states, position_embeddings=rotary, runs=Runs([(1, sum(lengths))]))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert float((across - expected).abs().max()) > 1e-2


def test_patches_equal_those_of_the_transformers_processor(reference: Any) -> None:
    import io

    from PIL import Image

    from encoders.qwen3_vl.vision import cut_patches
    from tests.tiny.inputs import SIZES, picture

    files = [picture(*size, seed) for seed, size in enumerate(SIZES)]
    expected = reference.process(files)["pixel_values"]
    budget = PixelBudget()
    pictures = []
    for data in files:
        image = Image.open(io.BytesIO(data))
        height, width = budget.fit(image.height, image.width)
        pictures.append(np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)))
    found = cut_patches(pictures, "cpu", HALF, HALF, patch_px=16, merge=2, frames=2)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 1e-6


@given(height=st.integers(1, 4000), width=st.integers(1, 4000), budget=st.sampled_from([(4, 1800), (4, 256), (64, 80)]))
def test_sizes_are_those_of_the_transformers_processor(height: int, width: int, budget: tuple[int, int]) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    low, high = budget[0] * 1024, budget[1] * 1024
    ours = PixelBudget(low, high)
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(InputError, match="longer than 200 times") as caught:
            ours.fit(height, width)
        assert caught.value.code == "image_aspect_ratio"
        return
    assert ours.fit(height, width) == smart_resize(height, width, 32, low, high)


@pytest.mark.parametrize(("low", "high"), [(100, 10_000), (5000, 4000)])
def test_an_impossible_pixel_budget_is_refused(low: int, high: int) -> None:
    with pytest.raises(InputError, match="1024 ≤ min_pixels ≤ max_pixels"):
        PixelBudget(low, high)
