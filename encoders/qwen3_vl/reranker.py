"""Qwen3-VL-Reranker: how well a document answers a query, one pair at a time (pointwise).

The score is the model's probability of "yes" against "no" as its next token: the sigmoid of the difference of the two
logits, which is one dot product with the last token's state. No other logit is computed.

Source: https://arxiv.org/abs/2601.04720, section on the reranker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.base import EncoderInput, Prepared, Vectors
from encoders.batching import TokenCount, length_groups
from encoders.checkpoints import find_checkpoint
from encoders.device_model import DeviceModel
from encoders.errors import InputError, ModelUnavailable
from encoders.images import ImageLimits
from encoders.precision import pick_device, pick_precision
from encoders.qwen3_vl.backbone import Attention, Backbone, BackboneOptions, ImageFormat, PaddingSide, load_backbone
from encoders.qwen3_vl.encoder import PAD_TOKEN
from encoders.qwen3_vl.family import detect_family
from encoders.qwen3_vl.preparer import MAX_PIXELS, MAX_TOKENS, MIN_PIXELS, ChatBuilder, ChatInput, PixelBudget
from encoders.qwen3_vl.prompt import ChatTokenizer, Message
from encoders.reranking import RerankerInfo, Scores

SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."


@dataclass(frozen=True, slots=True)
class Half:
    """One side of a pair: the content of a message, and the picture that it shows, if any."""

    content: list[Message]
    pictures: list[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class PairPreparer:
    """The CPU half: a query and a document to one prompt. Pickles, holds no weights."""

    builder: ChatBuilder

    def query(self, query: EncoderInput, instruction: str | None = None) -> Half:
        """The query as all its pairs show it, its picture decoded and resized. Raises InputError."""
        half = self._half(query, "query")
        asked: list[Message] = [
            {"type": "text", "text": f"<Instruct>: {self.builder.chat.plain(instruction or INSTRUCTION)}"},
            {"type": "text", "text": "<Query>:"},
            *half.content,
        ]
        return Half(asked, half.pictures)

    def __call__(self, query: Half, document: EncoderInput) -> Prepared:
        """Raises InputError for a document that cannot be read, or is too long beside this query."""
        half = self._half(document, "document")
        messages: list[Message] = [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
            {"role": "user", "content": [*query.content, {"type": "text", "text": "\n<Document>:"}, *half.content]},
        ]
        try:
            built = self.builder.build(messages, query.pictures + half.pictures, generation_prompt=True)
        except InputError as error:  # both together are too long, and it is the document that varies
            raise InputError(error.message, error.code, "document") from error
        return Prepared(built, cost=len(built.ids), modality=document.modality)

    def _half(self, item: EncoderInput, param: str) -> Half:
        """One side of the pair; its errors name it."""
        try:
            item.modality  # noqa: B018 - raises where there is neither text nor image
            parts = self.builder.parts(item)
            return Half(parts, [] if item.image is None else [self.builder.picture(item.image)])
        except InputError as error:
            raise InputError(error.message, error.code, param) from error


@dataclass(frozen=True, slots=True)
class YesOrNo:
    """Pairs to their scores. `direction` is `(hidden,)`: the output row of "yes" minus that of "no"."""

    backbone: Backbone
    direction: Vectors
    token_count: TokenCount = field(default_factory=TokenCount)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return ()

    def __call__(self, batch: Sequence[ChatInput]) -> Scores:
        scores = np.zeros(len(batch), dtype=np.float32)
        lengths = [len(item.ids) for item in batch]
        for rows in length_groups(lengths):
            self.token_count.add([lengths[row] for row in rows])
            states = self.backbone.pooled([batch[row] for row in rows], "last-token")
            # Row by row: a matrix product sums in another order for another number of rows.
            margins = np.asarray([state @ self.direction for state in states])
            scores[rows] = 1.0 / (1.0 + np.exp(-margins.astype(np.float64)))
        return scores


Qwen3VLReranker: TypeAlias = DeviceModel[RerankerInfo, PairPreparer, YesOrNo]


def load_qwen3_vl_reranker(
    model: str,
    revision: str | None = None,
    *,
    family: str | None = None,
    models_dir: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS,
    max_tokens: int = MAX_TOKENS,
    attention: Attention = "auto",
    compile: bool = False,
    padding_side: PaddingSide = "right",
    limits: ImageLimits | None = None,
) -> Qwen3VLReranker:
    """Loads a Reranker checkpoint from this machine's disk; never downloads. Options as of `load_qwen3_vl`.

    Raises ModelUnavailable, also for a checkpoint of another family: its yes and no were never trained.
    """
    checkpoint = find_checkpoint(model, revision, models_dir)
    found = detect_family(checkpoint, family)
    if found != "reranker":
        raise ModelUnavailable(f"{checkpoint.model} is an {found} checkpoint, not a reranker")
    where = pick_device(device)
    options = BackboneOptions(where, pick_precision(precision, where), attention, compile, padding_side)
    chat = ChatTokenizer.load(checkpoint)
    budget = PixelBudget(min_pixels, max_pixels, ImageFormat.read(checkpoint).factor_px)
    builder = ChatBuilder(chat, budget, limits or ImageLimits(), max_tokens)
    backbone = load_backbone(checkpoint, options, chat.token_id(PAD_TOKEN), head=True)
    weight = backbone.take_head()
    direction = (weight[chat.token_id("yes")].float() - weight[chat.token_id("no")].float()).cpu().numpy()
    prompt = hashlib.sha256(json.dumps((chat.template, SYSTEM, INSTRUCTION)).encode()).hexdigest()[:12]
    settings = f"{options.precision} {min_pixels}-{max_pixels} {prompt}"
    info = RerankerInfo("qwen3-vl-reranker", checkpoint.model, checkpoint.revision, settings)
    return DeviceModel(info, PairPreparer(builder), YesOrNo(backbone, direction))
