"""Qwen3-VL-Reranker: how well a document answers a query, one pair at a time (pointwise).

The score is the model's probability of "yes" against "no" as its next token: the sigmoid of the difference of the two
logits, which is one dot product with the last token's state. No other logit is computed.

Source: https://arxiv.org/abs/2601.04720, section on the reranker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.base import EncoderInput, Prepared, Vectors
from encoders.batching import length_groups
from encoders.checkpoints import find_checkpoint
from encoders.errors import EncoderError, InputError, ModelUnavailable, OutOfMemory
from encoders.images import ImageLimits
from encoders.out_of_memory import HalvingForward
from encoders.precision import pick_device, pick_precision
from encoders.qwen3_vl.backbone import Attention, Backbone, BackboneOptions, ImageFormat, PaddingSide, load_backbone
from encoders.qwen3_vl.encoder import PAD_TOKEN
from encoders.qwen3_vl.family import detect_family
from encoders.qwen3_vl.preparer import MAX_PIXELS, MAX_TOKENS, MIN_PIXELS, ChatBuilder, ChatInput, PixelBudget
from encoders.qwen3_vl.prompt import ChatTokenizer, Message
from encoders.reranking import RerankerInfo

SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."


@dataclass(frozen=True, slots=True)
class PairPreparer:
    """The CPU half: a query and a document to one prompt. Pickles, holds no weights."""

    builder: ChatBuilder

    def __call__(self, query: EncoderInput, document: EncoderInput, instruction: str | None = None) -> Prepared:
        """Raises InputError for a query or a document that cannot be read, or has neither text nor image."""
        asked, query_pictures = self._side(query, "query")
        offered, document_pictures = self._side(document, "document")
        chat = self.builder.chat
        content: list[Message] = [
            {"type": "text", "text": f"<Instruct>: {chat.plain(instruction or INSTRUCTION)}"},
            {"type": "text", "text": "<Query>:"},
            *asked,
            {"type": "text", "text": "\n<Document>:"},
            *offered,
        ]
        messages: list[Message] = [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
            {"role": "user", "content": content},
        ]
        try:
            built = self.builder.build(messages, query_pictures + document_pictures, generation_prompt=True)
        except InputError as error:  # both together are too long, and it is the document that varies
            raise InputError(error.message, error.code, "document") from error
        return Prepared(built, cost=len(built.ids), modality=document.modality)

    def _side(self, item: EncoderInput, param: str) -> tuple[list[Message], list[NDArray[np.uint8]]]:
        """The content and the picture of one half of the pair; its errors name the half."""
        try:
            item.modality  # noqa: B018 - raises where there is neither text nor image
            parts = self.builder.parts(item)
            return parts, [] if item.image is None else [self.builder.picture(item.image)]
        except InputError as error:
            raise InputError(error.message, error.code, param) from error


class Qwen3VLReranker:
    """Scores pairs. `forward` and `score` are called by one thread at a time."""

    def __init__(self, backbone: Backbone, direction: Vectors, preparer: PairPreparer, info: RerankerInfo) -> None:
        """`direction` is `(hidden,)`: the output row of "yes" minus that of "no"."""
        self._backbone: Backbone | None = backbone
        self._direction = direction
        self._halving = HalvingForward(self._forward, width=1)
        self._preparer = preparer
        self._info = info

    @property
    def info(self) -> RerankerInfo:
        return self._info

    @property
    def preparer(self) -> PairPreparer:
        return self._preparer

    @property
    def oom_splits(self) -> int:
        """How often a batch was halved for want of device memory, since the start."""
        return self._halving.splits

    def score(
        self, query: EncoderInput, documents: Sequence[EncoderInput], instruction: str | None = None
    ) -> NDArray[np.float32]:
        """`(len(documents),)` float32 in 0…1, higher is more relevant, in the order of `documents`.

        Raises InputError for the first input that cannot be read, OutOfMemory for documents that do not fit alone.
        """
        if not documents:
            return np.zeros(0, dtype=np.float32)
        return self.forward([self._preparer(query, document, instruction) for document in documents])

    def forward(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """`(n,)` scores of prepared pairs. A score does not depend on the pair's neighbours."""
        try:
            return self._halving([prepared.payload for prepared in batch])[:, 0]
        except OutOfMemory as error:
            raise OutOfMemory(error.rows, error.vectors[:, 0]) from error

    def close(self) -> None:
        """Frees the device. Calling it twice is fine."""
        self._backbone = None

    def _forward(self, batch: Sequence[ChatInput]) -> NDArray[np.float32]:
        if self._backbone is None:
            raise EncoderError("this reranker is closed")
        scores = np.zeros((len(batch), 1), dtype=np.float32)
        for rows in length_groups([len(item.ids) for item in batch]):
            states = self._backbone.pooled([batch[row] for row in rows], "last-token")
            # Row by row: a matrix product sums in another order for another number of rows.
            margins = np.asarray([state @ self._direction for state in states])
            scores[rows, 0] = 1.0 / (1.0 + np.exp(-margins.astype(np.float64)))
        return scores


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
    return Qwen3VLReranker(backbone, direction, PairPreparer(builder), info)
