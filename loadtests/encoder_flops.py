"""How many floating-point operations a Qwen3-VL forward pass is, and how many this machine can do.

A multiply-add counts as two. Only matrix products count: they are what the peak is measured with.
"""

from __future__ import annotations

import time
from typing import Any

PATCHES_PER_TOKEN = 4
PATCH_VALUES = 3 * 2 * 16 * 16


def forward_flops(config: Any, text_tokens: int, visual_tokens: int) -> float:
    """FLOPs of one item: `visual_tokens` of one picture, and `text_tokens` beside them."""
    return vision_flops(config.vision_config, visual_tokens) + _text_flops(
        config.text_config, text_tokens + visual_tokens
    )


def vision_flops(vision: Any, visual_tokens: int) -> float:
    """The vision tower: patch embedding, blocks with full attention within the picture, mergers."""
    patches, hidden = visual_tokens * PATCHES_PER_TOKEN, vision.hidden_size
    block = 2.0 * patches * (4 * hidden**2 + 2 * hidden * vision.intermediate_size) + 4.0 * patches**2 * hidden
    merged = PATCHES_PER_TOKEN * hidden
    mergers = (1 + len(vision.deepstack_visual_indexes)) * 2.0 * visual_tokens * merged
    embedding = 2.0 * patches * PATCH_VALUES * hidden
    return float(embedding + vision.depth * block + mergers * (merged + vision.out_hidden_size))


def _text_flops(text: Any, tokens: int) -> float:
    """The decoder without its output head. Causal attention needs half of the full product."""
    hidden, heads = text.hidden_size, text.num_attention_heads * text.head_dim
    keys = text.num_key_value_heads * text.head_dim
    linear = 2.0 * tokens * (2 * hidden * heads + 2 * hidden * keys + 3 * hidden * text.intermediate_size)
    return float(text.num_hidden_layers * (linear + 2.0 * tokens**2 * heads))


def matmul_peak_flops(device: str, dtype: Any, size: int | None = None, seconds: float = 1.0) -> float:
    """FLOP/s of the best of many square matrix products: what the machine reaches, not what its data sheet says."""
    import torch

    side = size or (8192 if device.startswith("cuda") else 1024)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, rounds, until = float("inf"), 0, time.perf_counter() + seconds
    while rounds < 4 or time.perf_counter() < until:
        synchronise(device)
        begun = time.perf_counter()
        left @ right
        synchronise(device)
        best, rounds = min(best, time.perf_counter() - begun), rounds + 1
    return 2.0 * side**3 / best


def synchronise(device: str) -> None:
    """Waits until the device has done what it was given."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()
