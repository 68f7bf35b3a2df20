"""The vision tower, with the same numbers for less work. Imports torch: import it from inside a function.

* The patch embedding of the checkpoint is a Conv3d whose kernel equals its stride, so each patch is one dot product:
  the same weights as a linear layer. Recent torch runs that Conv3d slowly (pytorch#174051).
* Attention never crosses pictures. Neighbours of one size share one attention call, instead of one call a picture.
* Pictures arrive as uint8 and are cut into patches on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.errors import ModelUnavailable


class Runs:
    """Neighbouring pictures of one size: how many, and patches of each.

    An object of its own and no tuple, whose length torch.compile would compile into its graphs.
    """

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self.runs = tuple(runs)


class LinearPatchEmbedding(nn.Module):
    """`(patches, channels * frames * side * side)` to `(patches, hidden)`, equal to the Conv3d it is made from.

    Raises ModelUnavailable where kernel and stride differ: then the two are not equal.
    """

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        if not isinstance(convolution, nn.Conv3d):
            raise ModelUnavailable(f"the patch embedding is a {type(convolution).__name__}, not a Conv3d")
        plain = convolution.kernel_size == convolution.stride and convolution.groups == 1
        if not plain or convolution.padding != (0, 0, 0) or convolution.dilation != (1, 1, 1):
            raise ModelUnavailable("the patch embedding's kernel differs from its stride: it is not a linear layer")
        weight = convolution.weight.detach()
        bias = convolution.bias is not None
        self.proj = nn.Linear(weight[0].numel(), weight.shape[0], bias, device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            self.proj.weight.copy_(weight.reshape(weight.shape[0], -1))
            if convolution.bias is not None:
                self.proj.bias.copy_(convolution.bias)

    def forward(self, patches: Tensor) -> Tensor:
        projected: Tensor = self.proj(patches.to(self.proj.weight.dtype))
        return projected


class RunAttention(nn.Module):
    """Self-attention within each picture, one call for each run of pictures of one size.

    Takes the projections of the attention that it replaces. The caller passes `runs`; transformers passes the rest.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.qkv, self.proj, self.num_heads = attention.qkv, attention.proj, attention.num_heads

    def forward(
        self,
        hidden_states: Tensor,
        *,
        position_embeddings: tuple[Tensor, Tensor],
        runs: Runs,
        **_: Any,
    ) -> Tensor:
        from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

        patches = hidden_states.shape[0]
        query, key, value = self.qkv(hidden_states).reshape(patches, 3, self.num_heads, -1).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
        projected: Tensor = self.proj(_attend(query, key, value, runs))
        return projected


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _attend(query: Tensor, key: Tensor, value: Tensor, runs: Runs) -> Tensor:
    """`(patches, heads, head_dim)` each to `(patches, hidden)`.

    Kept out of compiled graphs, which would be compiled anew for each number of runs.
    """
    outputs, start = [], 0
    for count, length in runs.runs:
        rows = slice(start, start + count * length)
        q, k, v = (x[rows].view(count, length, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
        attended = nn.functional.scaled_dot_product_attention(q, k, v)
        outputs.append(attended.transpose(1, 2).reshape(count * length, -1))
        start = rows.stop
    return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def picture_runs(patch_counts: Sequence[int]) -> Runs:
    """`[6, 6, 4]` becomes two of 6 and one of 4."""
    return Runs([(len(list(group)), length) for length, group in groupby(patch_counts)])


def cut_patches(
    pictures: Sequence[NDArray[np.uint8]],
    device: str,
    mean: Sequence[float],
    std: Sequence[float],
    patch_px: int,
    merge: int,
    frames: int,
) -> Tensor:
    """Pictures `(height, width, 3)` uint8 to normalised patches `(patches, 3 * frames * patch_px²)` float32.

    The order is that of Qwen2-VL's processor: pictures one after the other, `merge × merge` blocks of patches that
    become one token next to each other, each patch repeated over the frames of a still.
    """
    shift = torch.tensor(mean, device=device).view(3, 1, 1)
    scale = torch.tensor(std, device=device).view(3, 1, 1)
    cut = []
    for stack in _stacks(pictures):
        pixels = torch.from_numpy(stack).to(device).permute(0, 3, 1, 2).float() / 255.0
        pixels = (pixels - shift) / scale
        count, channels, height, width = pixels.shape
        rows, columns = height // patch_px // merge, width // patch_px // merge
        blocks = pixels.view(count, channels, rows, merge, patch_px, columns, merge, patch_px)
        patches = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
        cut.append(patches.expand(*[-1] * 6, frames, -1, -1).reshape(-1, channels * frames * patch_px**2))
    return torch.cat(cut)


def _stacks(pictures: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Neighbours of one shape, stacked."""
    for _, group in groupby(pictures, key=lambda picture: picture.shape):
        yield np.stack(list(group))


def speed_up_vision(vision: Any, shared_attention: bool) -> None:
    """Swaps in the two equal parts above. `shared_attention` is for SDPA; FlashAttention does it by itself."""
    vision.patch_embed = LinearPatchEmbedding(vision.patch_embed.proj)
    if shared_attention:
        for block in vision.blocks:
            block.attn = RunAttention(block.attn)
