"""CLIP, SigLIP and SigLIP 2 (NaFlex) checkpoints of a few hundred thousand parameters, written as the real ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from tokenizers import pre_tokenizers

from tests.tiny.weights import randomise

DualTowerKind = Literal["clip", "siglip", "siglip2"]

_TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_VISION = {**_TEXT, "patch_size": 8, "image_size": 32}


def build_tiny_dual_tower(folder: str | Path, kind: DualTowerKind, seed: int = 0) -> Path:
    """Writes a checkpoint folder and returns it. The same arguments give the same weights, in about a second."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tokenizer = _clip_tokenizer() if kind == "clip" else _siglip2_tokenizer()
    tokenizer.save_pretrained(target)
    model = _build_model(kind, tokenizer)
    randomise(model, seed, branch=0.3)
    model.save_pretrained(target)
    (target / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR[kind]))
    (target / "crossray.json").write_text(json.dumps({"model": f"tiny/{kind}", "revision": f"seed-{seed}"}))
    return target


_PREPROCESSOR: dict[str, dict[str, Any]] = {
    "clip": {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    "siglip": {"size": {"height": 32, "width": 32}},
    "siglip2": {"patch_size": 8, "max_num_patches": 36},
}


def _build_model(kind: DualTowerKind, tokenizer: Any) -> Any:
    import transformers

    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**_TEXT, **ids, "vocab_size": len(tokenizer)}
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=48)
        return transformers.CLIPModel(config)
    text = {**text, "projection_size": 64, "max_position_embeddings": 64}
    if kind == "siglip":
        return transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=_VISION))
    vision = {**_TEXT, "patch_size": 8, "num_patches": 36}
    return transformers.Siglip2Model(transformers.Siglip2Config(text_config=text, vision_config=vision))


def _clip_tokenizer() -> Any:
    """Bytes, and bytes that end a word: a vocabulary without merges."""
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|startoftext|>", "<|endoftext|>", *alphabet, *(f"{character}</w>" for character in alphabet)]
    return CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])


def _siglip2_tokenizer() -> Any:
    """Letters, and bytes for everything else."""
    from transformers import Siglip2Tokenizer

    letters = "▁abcdefghijklmnopqrstuvwxyz0123456789.,'"
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *letters, *(f"<0x{byte:02X}>" for byte in range(256))]
    return Siglip2Tokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])
