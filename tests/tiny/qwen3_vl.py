"""A Qwen3-VL checkpoint of under a million parameters, written as the real ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from tests.tiny.tokenizer import CHAT_TEMPLATE, build_tokenizer, save_tokenizer
from tests.tiny.weights import randomise

Kind = Literal["embedding", "instruct", "reranker", "thinking"]

TINY_SHAPE: dict[str, Any] = {
    "text": {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 8192,
        "mrope_section": [6, 5, 5],
    },
    "vision": {
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 4,
        "out_hidden_size": 128,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    },
}

TRUE_2B_SHAPE: dict[str, Any] = {
    "text": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 262144,
        "mrope_section": [24, 20, 20],
    },
    "vision": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2048,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
}


TRUE_2B_VOCABULARY = 151_936


def build_config(shape: dict[str, Any], token_ids: dict[str, int], vocab_size: int, tied: bool = True) -> Any:
    """The transformers configuration of `shape`, with this tokenizer's special ids."""
    from transformers import Qwen3VLConfig

    text = dict(shape["text"])
    rope = {
        "rope_type": "default",
        "rope_theta": 5e6,
        "mrope_section": text.pop("mrope_section"),
        "mrope_interleaved": True,
    }
    vision = {"patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, **shape["vision"]}
    return Qwen3VLConfig(
        text_config={"vocab_size": vocab_size, "rms_norm_eps": 1e-6, "rope_parameters": rope, **text},
        vision_config=vision,
        image_token_id=token_ids["<|image_pad|>"],
        video_token_id=token_ids["<|video_pad|>"],
        vision_start_token_id=token_ids["<|vision_start|>"],
        vision_end_token_id=token_ids["<|vision_end|>"],
        tie_word_embeddings=tied,
    )


def build_tiny_qwen3_vl(
    folder: str | Path,
    kind: Kind = "embedding",
    seed: int = 0,
    chat_template: str | None = CHAT_TEMPLATE,
    tied: bool = True,
) -> Path:
    """Writes a checkpoint folder and returns it. The same arguments give the same weights, in about a second.

    An untrained model whose head is its embeddings, as Qwen's is (`tied`), writes its last token again and again.
    """
    from transformers import Qwen3VLForConditionalGeneration

    tokenizer = build_tokenizer()
    config = build_config(TINY_SHAPE, tokenizer.get_vocab(), tokenizer.get_vocab_size(), tied)
    model = Qwen3VLForConditionalGeneration(config)
    randomise(model, seed)
    model.tie_weights()
    return _save(model, Path(folder), f"tiny/qwen3-vl-{kind}", f"seed-{seed}", chat_template)


def build_true_2b_qwen3_vl(folder: str | Path, device: str) -> Path:
    """Writes Qwen3-VL-Embedding-2B's shape with random bf16 weights, 4.3 GB: its true cost without its knowledge."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    config = build_config(TRUE_2B_SHAPE, build_tokenizer().get_vocab(), TRUE_2B_VOCABULARY)
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen3VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    return _save(model, Path(folder), "random/qwen3-vl-embedding-2b-shape", "seed-0", CHAT_TEMPLATE)


def _save(model: Any, folder: Path, name: str, revision: str, chat_template: str | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_tokenizer(build_tokenizer(), folder, chat_template)
    pixels = {"shortest_edge": 4 * 32 * 32, "longest_edge": 36 * 32 * 32}
    half = [0.5, 0.5, 0.5]
    preprocessor = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2, "image_mean": half, "image_std": half}
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "Qwen2VLImageProcessorPil", "size": pixels, **preprocessor})
    )
    (folder / "crossray.json").write_text(json.dumps({"model": name, "revision": revision}))
    return folder
