"""Random weights of trained-like proportions."""

from __future__ import annotations

import re
from typing import Any

_TOKENS = re.compile(r"(embed_tokens|token_embedding)\.weight$")
_BRANCH_ENDS = re.compile(r"((o|out|down)_proj|attn\.proj|(blocks|layers)\.\d+\.mlp\.(linear_fc2|fc2))\.weight$")


def randomise(model: Any, seed: int, branch: float = 0.4) -> None:
    """Fills every parameter; the same seed gives the same weights.

    Norms and biases are random too: with the default ones and zeros, a forgotten norm or bias would not show. What a
    block adds is smaller (by `branch`) than what it adds to, as in a trained model; otherwise 4-bit noise piles up.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim <= 1:
                is_norm = parameter.ndim == 1 and name.endswith("weight")
                parameter.copy_(noise.sigmoid() + 0.5 if is_norm else 0.1 * noise)
            elif _TOKENS.search(name):
                parameter.copy_(0.7 * noise)
            else:
                spread = float(parameter[0].numel()) ** -0.5
                parameter.copy_(noise * spread * (branch if _BRANCH_ENDS.search(name) else 1.0))
