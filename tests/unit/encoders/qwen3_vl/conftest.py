"""Tiny checkpoints, inputs, and a reference written straight from transformers' pieces, one input at a time."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders import EncoderInput, Role
from tests.tiny.inputs import mixed_inputs
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl

INSTRUCTIONS = {
    "document": "Represent the user's input.",
    "query": "Retrieve images or text relevant to the user's query.",
}


@dataclass
class PlainReference:
    """What a tutorial would write: one input, one forward pass, transformers' own processing, fp32, Conv3d."""

    folder: Path
    model: Any
    tokenizer: Any
    image_processor: Any

    def prompt(self, item: EncoderInput, role: Role, tokens: int) -> str:
        shown = f"<|vision_start|>{'<|image_pad|>' * tokens}<|vision_end|>" if item.image else ""
        return (
            f"<|im_start|>system\n{INSTRUCTIONS[role]}<|im_end|>\n"
            f"<|im_start|>user\n{shown}{item.text or ''}<|im_end|>\n<|im_start|>assistant\n"
        )

    def hidden_states(self, prompt: str, images: list[bytes]) -> Any:
        """`(length, hidden)`: the last hidden state of one prompt that has all its image tokens."""
        import torch

        ids = self.tokenizer(prompt, return_tensors="pt").input_ids
        extra = {}
        if images:
            extra = dict(self.process(images))
            extra["mm_token_type_ids"] = (ids == self.model.config.image_token_id).int()
        with torch.no_grad():
            output = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra)
        return output.last_hidden_state[0]

    def process(self, images: list[bytes]) -> Any:
        opened = [Image.open(io.BytesIO(data)) for data in images]
        size = {"shortest_edge": 4 * 32 * 32, "longest_edge": 1800 * 32 * 32}
        return self.image_processor(opened, size=size, return_tensors="pt")

    def visual_tokens(self, image: bytes | None) -> int:
        return 0 if image is None else int(self.process([image])["image_grid_thw"].prod()) // 4

    def embed(self, item: EncoderInput, role: Role = "document") -> np.ndarray:
        """Last token, L2-normalised."""
        prompt = self.prompt(item, role, self.visual_tokens(item.image))
        state = self.hidden_states(prompt, [item.image] if item.image else [])[-1].numpy()
        return state / np.linalg.norm(state)

    def embed_mean(self, item: EncoderInput) -> np.ndarray:
        """Mean over the tokens of a lone user message, L2-normalised."""
        tokens = self.visual_tokens(item.image)
        shown = f"<|vision_start|>{'<|image_pad|>' * tokens}<|vision_end|>" if item.image else ""
        prompt = f"<|im_start|>user\n{shown}{item.text or ''}<|im_end|>\n"
        state = self.hidden_states(prompt, [item.image] if item.image else []).mean(0).numpy()
        return state / np.linalg.norm(state)


def build_reference(folder: Path) -> PlainReference:
    import torch
    from transformers import Qwen2Tokenizer, Qwen3VLModel
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    model = Qwen3VLModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return PlainReference(
        folder, model, Qwen2Tokenizer.from_pretrained(folder), Qwen2VLImageProcessorPil.from_pretrained(folder)
    )


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny checkpoint of a kind, built once."""
    built: dict[str, Path] = {}

    def get(kind: Any) -> Path:
        if kind not in built:
            built[kind] = build_tiny_qwen3_vl(tmp_path_factory.mktemp("qwen3_vl") / f"tiny-{kind}", kind)
        return built[kind]

    return get


@pytest.fixture(scope="session")
def reference(tiny_folder: Callable[[str], Path]) -> PlainReference:
    return build_reference(tiny_folder("embedding"))


@pytest.fixture(scope="session")
def inputs() -> list[EncoderInput]:
    return mixed_inputs()


@pytest.fixture(scope="session")
def expected(reference: PlainReference, inputs: list[EncoderInput]) -> np.ndarray:
    """`(n, dim)`: the reference's vector of each input as a document."""
    return np.stack([reference.embed(item) for item in inputs])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
