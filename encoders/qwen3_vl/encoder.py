"""Qwen3-VL as an Encoder: text, image, or both fused, in one vector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from encoders import images
from encoders.base import EncoderInfo, Vectors, normalise, truncate
from encoders.batching import TokenCount, length_groups
from encoders.checkpoints import Checkpoint, find_checkpoint
from encoders.contract import VectorContract
from encoders.device_model import DeviceModel
from encoders.precision import pick_device, pick_precision
from encoders.qwen3_vl import preparer as preparing
from encoders.qwen3_vl.backbone import Attention, Backbone, BackboneOptions, ImageFormat, PaddingSide, load_backbone
from encoders.qwen3_vl.family import Family, Pooling, detect_family, encoder_family
from encoders.qwen3_vl.preparer import ChatBuilder, ChatInput, PixelBudget, Qwen3VLPreparer
from encoders.qwen3_vl.prompt import ChatTokenizer

PAD_TOKEN = "<|endoftext|>"  # noqa: S105 a token of the vocabulary, not a secret


@dataclass(frozen=True, slots=True)
class PooledVectors:
    """Chats to unit vectors: the pooled last states, cut to `dim` columns."""

    backbone: Backbone
    pooling: Pooling
    dim: int
    token_count: TokenCount = field(default_factory=TokenCount)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def __call__(self, batch: Sequence[ChatInput]) -> Vectors:
        vectors = np.zeros((len(batch), self.dim), dtype=np.float32)
        lengths = [len(item.ids) for item in batch]
        for rows in length_groups(lengths):
            self.token_count.add([lengths[row] for row in rows])
            pooled = self.backbone.pooled([batch[row] for row in rows], self.pooling)
            vectors[rows] = truncate(normalise(pooled), self.dim)
        return vectors


Qwen3VLEncoder: TypeAlias = DeviceModel[EncoderInfo, Qwen3VLPreparer, PooledVectors]


def load_qwen3_vl(
    model: str,
    revision: str | None = None,
    *,
    family: str | None = None,
    models_dir: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    dimensions: int | None = None,
    min_pixels: int = preparing.MIN_PIXELS,
    max_pixels: int = preparing.MAX_PIXELS,
    max_tokens: int = preparing.MAX_TOKENS,
    document_instruction: str | None = None,
    query_instruction: str | None = None,
    attention: Attention = "auto",
    compile: bool = False,
    padding_side: PaddingSide = "right",
    limits: images.ImageLimits | None = None,
) -> Qwen3VLEncoder:
    """Loads an Embedding or Instruct checkpoint from this machine's disk; never downloads.

    `model` is a hub id, `modelscope://` and an id, or a folder. `family` (embedding or instruct) is read off the
    checkpoint's name unless given. `dimensions` is a Matryoshka prefix. Pixels are height × width after resizing.
    Raises ModelUnavailable, MissingExtra, or InputError for a dimension or pixel budget that is not allowed.
    """
    checkpoint = find_checkpoint(model, revision, models_dir)
    use = encoder_family(detect_family(checkpoint, family), document_instruction, query_instruction)
    where = pick_device(device)
    options = BackboneOptions(where, pick_precision(precision, where), attention, compile, padding_side)
    hidden_size = int(checkpoint.read_json("config.json")["text_config"]["hidden_size"])
    dim = use.require_dimension(dimensions, hidden_size)
    chat = ChatTokenizer.load(checkpoint)
    budget = PixelBudget(min_pixels, max_pixels, ImageFormat.read(checkpoint).factor_px)
    builder = ChatBuilder(chat, budget, limits or images.ImageLimits(), max_tokens)
    info = _info(checkpoint, use, options, dim, builder)
    backbone = load_backbone(checkpoint, options, chat.token_id(PAD_TOKEN))
    return DeviceModel(info, Qwen3VLPreparer(builder, use), PooledVectors(backbone, use.pooling, dim))


def _info(
    checkpoint: Checkpoint, family: Family, options: BackboneOptions, dim: int, builder: ChatBuilder
) -> EncoderInfo:
    contract = VectorContract(
        model=checkpoint.model,
        revision=checkpoint.revision,
        dim=dim,
        pooling=family.pooling,
        template=_template_name(family, builder.chat),
        pixels=f"{builder.budget.min_pixels}-{builder.budget.max_pixels}",
        preprocessing=100 * images.PREPROCESSING_VERSION + preparing.PREPROCESSING_VERSION,
        precision=options.precision,
    )
    return EncoderInfo(
        name="qwen3-vl",
        contract=contract,
        modalities=frozenset(("text", "image", "image_text")),
        dimensions=(dim, *(d for d in family.dimensions(dim) if d < dim)),
        max_text_chars=builder.max_text_chars,
        languages=("en", "zh"),
        description=f"Qwen3-VL {family.name}, {family.pooling} pooling, {options.precision}",
    )


def _template_name(family: Family, chat: ChatTokenizer) -> str:
    """The family, and a digest of everything that decides the prompt's text."""
    parts = (chat.template, family.document_instruction, family.query_instruction, family.generation_prompt)
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return f"qwen3-vl-{family.name}:{digest}"
