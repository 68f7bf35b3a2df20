"""What our encoder is measured beside: the loop a tutorial would write, and sentence-transformers where it can load."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from encoders import EncoderInput

INSTRUCTION = "Represent the user's input."
EmbedOne = Callable[[EncoderInput], Any]


def load_tutorial_loop(folder: Path, device: str, dtype: Any, pixels: int) -> EmbedOne:
    """transformers' own model and processing, one item a call, nothing changed: Conv3d and all.

    The processor class needs torchvision, so its parts are called; a tutorial's cost is the same.
    """
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    model: Any = transformers.Qwen3VLModel.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    model = model.eval().to(device)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    loader: Any = Qwen2VLImageProcessorPil
    processor: Any = loader.from_pretrained(folder, size={"shortest_edge": pixels, "longest_edge": pixels})

    def embed(item: EncoderInput) -> Any:
        import torch

        shown, extra = "", {}
        if item.image is not None:
            extra = dict(processor(Image.open(io.BytesIO(item.image)).convert("RGB"), return_tensors="pt"))
            pads = "<|image_pad|>" * (int(extra["image_grid_thw"].prod()) // 4)
            shown = f"<|vision_start|>{pads}<|vision_end|>"
        prompt = (
            f"<|im_start|>system\n{INSTRUCTION}<|im_end|>\n<|im_start|>user\n{shown}{item.text or ''}<|im_end|>\n"
            "<|im_start|>assistant\n"
        )
        inputs = dict(tokenizer(prompt, return_tensors="pt"))
        if extra:
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == model.config.image_token_id).int()
        with torch.no_grad():
            output = model(**{name: value.to(device) for name, value in {**inputs, **extra}.items()})
        state = output.last_hidden_state[0, -1].float()
        return (state / state.norm()).cpu().numpy()

    return embed


def load_sentence_transformers(
    folder: Path, device: str
) -> tuple[Callable[[Sequence[EncoderInput], int], Any] | None, str]:
    """A batch encoder over `(items, batch_size)`, or None and why there is none."""
    if importlib.util.find_spec("sentence_transformers") is None:
        return None, "SKIPPED: sentence-transformers is not installed (pip install sentence-transformers)"
    from importlib import import_module

    library = import_module("sentence_transformers")
    try:
        model = library.SentenceTransformer(str(folder), device=device, local_files_only=True)
    except Exception as error:
        return None, f"SKIPPED: sentence-transformers cannot load this checkpoint: {error}"

    def embed(items: Sequence[EncoderInput], batch_size: int) -> Any:
        return model.encode([item.text for item in items], batch_size=batch_size)

    return embed, f"sentence-transformers {library.__version__}, texts only"
