"""MiniLM as a torch module, only to be exported.

BERT (Devlin et al., 2019) with mean pooling (Reimers & Gurevych, 2019).
"""

from __future__ import annotations

import math
from typing import Any

LAYERS, HEADS, WIDTH = 6, 12, 384


def build_minilm(weights: dict[str, Any]) -> Any:
    """A module from `ids`, `mask` `(n, tokens)` to unit rows `(n, 384)`, over Hugging Face's BERT weight names."""
    import torch
    from torch.nn import functional as nn

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return nn.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return nn.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-12)

    def heads(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0], x.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)

    def layer(x: torch.Tensor, bias: torch.Tensor, name: str) -> torch.Tensor:
        query, key, value = (heads(linear(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + bias
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(x.shape)
        x = norm(x + linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        wide = nn.gelu(linear(x, f"{name}.intermediate.dense"))
        return norm(x + linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    class MiniLM(torch.nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            places = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
            segment = weights["embeddings.token_type_embeddings.weight"][0]
            words = nn.embedding(ids, weights["embeddings.word_embeddings.weight"])
            x = norm(words + places + segment, "embeddings.LayerNorm")
            kept = mask.float()
            bias = (1.0 - kept)[:, None, None, :] * -1e9
            for index in range(LAYERS):
                x = layer(x, bias, f"encoder.layer.{index}")
            pooled = (x * kept[:, :, None]).sum(1) / kept.sum(1, keepdim=True)
            return nn.normalize(pooled, dim=-1)

    return MiniLM()
