"""A Qwen3-VL checkpoint that writes one line, whatever it is shown: the way of an answer through the whole stack."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tests.tiny.qwen3_vl import build_tiny_qwen3_vl
from tests.tiny.tokenizer import build_tokenizer


def build_parrot_qwen3_vl(folder: str | Path, says: str, after: str = ":") -> Path:
    """Writes a tiny Instruct checkpoint that goes on with `says` and a line's end after the token `after`.

    Its layers add nothing, so each token alone decides the next: no token of the line may come twice.
    """
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    target = build_tiny_qwen3_vl(folder, "instruct", tied=False)
    model = Qwen3VLForConditionalGeneration.from_pretrained(target, dtype=torch.float32)
    chain = build_tokenizer().encode(f"{after}{says}\n").ids
    if len(set(chain)) < len(chain):
        raise ValueError(f"a token comes twice in {says!r}")
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        states = model.model.language_model.norm(model.get_input_embeddings().weight)
        model.lm_head.weight.zero_()
        for token, following in pairwise(chain):
            model.lm_head.weight[following] = states[token]
    model.save_pretrained(target)
    return target
