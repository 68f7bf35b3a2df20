"""Qwen3-VL-Reranker: how well a document answers a query, one pair at a time (pointwise).

The score is the model's probability of "yes" against "no" as its next token: the sigmoid of the difference of the two
logits, which is one dot product with the last token's state. No other logit is computed.

Source: https://arxiv.org/abs/2601.04720, section on the reranker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.base import EncoderInput, Prepared, Vectors
from encoders.batching import length_groups
from encoders.checkpoints import find_checkpoint
from encoders.errors import EncoderError, ModelUnavailable
from encoders.images import ImageLimits
from encoders.out_of_memory import HalvingForward
from encoders.precision import pick_device, pick_precision
from encoders.qwen3_vl.backbone import Attention, Backbone, BackboneOptions, ImageFormat, PaddingSide, load_backbone
from encoders.qwen3_vl.encoder import PAD_TOKEN
from encoders.qwen3_vl.family import detect_family
from encoders.qwen3_vl.preparer import MAX_PIXELS, MAX_TOKENS, MIN_PIXELS, ChatBuilder, ChatInput, PixelBudget
from encoders.qwen3_vl.prompt import ChatTokenizer, Message

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
        modality = query.modality and document.modality
        chat = self.builder.chat
        content: list[Message] = [
            {"type": "text", "text": f"<Instruct>: {chat.plain(instruction or INSTRUCTION)}"},
            {"type": "text", "text": "<Query>:"},
            *self.builder.parts(query),
            {"type": "text", "text": "\n<Document>:"},
            *self.builder.parts(document),
        ]
        messages: list[Message] = [
            {"role": "system", "content": [{"type": "text", "text": SYSTEM}]},
            {"role": "user", "content": content},
        ]
        pictures = [self.builder.picture(item.image) for item in (query, document) if item.image is not None]
        built = self.builder.build(messages, pictures, generation_prompt=True)
        return Prepared(built, cost=len(built.ids), modality=modality)


class Qwen3VLReranker:
    """Scores pairs. `forward` and `score` are called by one thread at a time."""

    def __init__(self, backbone: Backbone, direction: Vectors, preparer: PairPreparer, name: str) -> None:
        """`direction` is `(hidden,)`: the output row of "yes" minus that of "no"."""
        self._backbone: Backbone | None = backbone
        self._direction = direction
        self._halving = HalvingForward(self._forward, width=1)
        self.preparer = preparer
        self.name = name

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
        return self.forward([self.preparer(query, document, instruction) for document in documents])

    def forward(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """`(n,)` scores of prepared pairs. A score does not depend on the pair's neighbours."""
        return self._halving([prepared.payload for prepared in batch])[:, 0]

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
    image_limits: ImageLimits | None = None,
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
    builder = ChatBuilder(chat, budget, image_limits or ImageLimits(), max_tokens)
    backbone = load_backbone(checkpoint, options, chat.token_id(PAD_TOKEN), head=True)
    weight = backbone.take_head()
    direction = (weight[chat.token_id("yes")].float() - weight[chat.token_id("no")].float()).cpu().numpy()
    return Qwen3VLReranker(backbone, direction, PairPreparer(builder), checkpoint.model)
