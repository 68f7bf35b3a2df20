"""Qwen3-VL as an Encoder: text, image, or both fused, in one vector."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders import images
from encoders.base import EncoderInfo, Prepared, Vectors, normalise, truncate
from encoders.batching import length_groups
from encoders.checkpoints import Checkpoint, find_checkpoint
from encoders.contract import VectorContract
from encoders.errors import EncoderError
from encoders.out_of_memory import HalvingForward
from encoders.precision import pick_device, pick_precision
from encoders.qwen3_vl import preparer as preparing
from encoders.qwen3_vl.backbone import Attention, Backbone, BackboneOptions, ImageFormat, PaddingSide, load_backbone
from encoders.qwen3_vl.family import Family, detect_family, encoder_family
from encoders.qwen3_vl.preparer import ChatBuilder, ChatInput, PixelBudget, Qwen3VLPreparer
from encoders.qwen3_vl.prompt import ChatTokenizer

PAD_TOKEN = "<|endoftext|>"  # noqa: S105 a token of the vocabulary, not a secret


class Qwen3VLEncoder:
    """The Encoder protocol over a loaded backbone. `forward` is called by one thread at a time."""

    def __init__(self, backbone: Backbone, preparer: Qwen3VLPreparer, info: EncoderInfo) -> None:
        self._backbone: Backbone | None = backbone
        self._preparer = preparer
        self._info = info
        self._halving = HalvingForward(self._forward, info.dim)

    @property
    def info(self) -> EncoderInfo:
        return self._info

    @property
    def preparer(self) -> Qwen3VLPreparer:
        return self._preparer

    @property
    def oom_splits(self) -> int:
        """How often a batch was halved for want of device memory, since the start."""
        return self._halving.splits

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        """`(n, dim)` float32, rows L2-normalised, in the order of `batch`.

        Out of device memory, the batch is halved and goes on. Raises OutOfMemory when items do not fit even alone; it
        carries the vectors of the others.
        """
        return self._halving([prepared.payload for prepared in batch])

    def close(self) -> None:
        """Frees the device. Calling it twice is fine."""
        self._backbone = None

    def _forward(self, batch: Sequence[ChatInput]) -> Vectors:
        if self._backbone is None:
            raise EncoderError("this encoder is closed")
        vectors = np.zeros((len(batch), self._info.dim), dtype=np.float32)
        for rows in length_groups([len(item.ids) for item in batch]):
            pooled = self._backbone.pooled([batch[row] for row in rows], self._preparer.family.pooling)
            vectors[rows] = truncate(normalise(pooled), self._info.dim)
        return vectors


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
    return Qwen3VLEncoder(backbone, Qwen3VLPreparer(builder, use), info)


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
