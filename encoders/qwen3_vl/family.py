"""What a Qwen3-VL checkpoint is for, and what follows: pooling, instructions, dimensions.

* *Embedding* was trained for retrieval: the state of the last token, an instruction a role, Matryoshka dimensions.
* *Instruct* is a chat model used as an encoder: the mean over all tokens. Easy, and not trained for retrieval.
* *Reranker* scores a pair and makes no vectors. *Thinking* checkpoints are refused.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from encoders.base import Role
from encoders.checkpoints import Checkpoint
from encoders.errors import InputError, ModelUnavailable

FamilyName: TypeAlias = Literal["embedding", "instruct", "reranker"]
Pooling: TypeAlias = Literal["last-token", "mean"]

DOCUMENT_INSTRUCTION = "Represent the user's input."
QUERY_INSTRUCTION = "Retrieve images or text relevant to the user's query."

MATRYOSHKA_DIMENSIONS = (4096, 3072, 2560, 2048, 1536, 1024, 768, 512, 256, 128, 64)
"""Offered prefixes. The checkpoints were trained with prefixes from 64 columns up."""


@dataclass(frozen=True, slots=True)
class Family:
    """How one kind of checkpoint is used. An instruction of None means no system message."""

    name: FamilyName
    pooling: Pooling
    document_instruction: str | None
    query_instruction: str | None
    generation_prompt: bool
    matryoshka: bool

    def instruction(self, role: Role) -> str | None:
        return self.query_instruction if role == "query" else self.document_instruction

    def dimensions(self, hidden_size: int) -> tuple[int, ...]:
        """Allowed widths of a vector, the native one first."""
        shorter = tuple(d for d in MATRYOSHKA_DIMENSIONS if d < hidden_size) if self.matryoshka else ()
        return (hidden_size, *shorter)

    def require_dimension(self, dimension: int | None, hidden_size: int) -> int:
        """`dimension`, or the native one. Raises InputError listing the allowed ones."""
        allowed = self.dimensions(hidden_size)
        if dimension is None:
            return hidden_size
        if dimension not in allowed:
            listed = ", ".join(str(d) for d in allowed)
            raise InputError(f"dimensions must be one of {listed}, not {dimension}", "unknown_dimensions", "dimensions")
        return dimension


def detect_family(checkpoint: Checkpoint, given: str | None = None) -> FamilyName:
    """What the checkpoint is for, by its own name unless `given`. Raises ModelUnavailable when it cannot be told."""
    architecture = str(checkpoint.read_json("config.json").get("model_type", ""))
    if architecture != "qwen3_vl":
        raise ModelUnavailable(f"{checkpoint.model} is a {architecture or 'nameless'} model, not a qwen3_vl one")
    names = f"{checkpoint.model} {checkpoint.folder.resolve().name}".lower()
    if "thinking" in names:
        raise ModelUnavailable(
            f"{checkpoint.model} is a Thinking checkpoint: its states lead up to a chain of thought rather than sum up "
            "the content, so they make poor vectors. Use the Embedding checkpoint, or Instruct"
        )
    known: tuple[FamilyName, ...] = get_args(FamilyName)
    if given is not None:
        if given not in known:
            raise ModelUnavailable(f"unknown family {given!r}; it is one of {', '.join(known)}")
        return next(name for name in known if name == given)
    for name in known:
        if name in names:
            return name
    raise ModelUnavailable(
        f"the name {checkpoint.model!r} does not tell what this checkpoint is for: set family to {' or '.join(known)}"
    )


def encoder_family(
    name: FamilyName, document_instruction: str | None = None, query_instruction: str | None = None
) -> Family:
    """The family with these instructions instead of its own where given. Raises ModelUnavailable for a reranker."""
    if name == "reranker":
        raise ModelUnavailable(
            "a Qwen3-VL-Reranker checkpoint scores pairs and makes no vectors: use it as the reranker"
        )
    if name == "embedding":
        document_instruction = DOCUMENT_INSTRUCTION if document_instruction is None else document_instruction
        query_instruction = QUERY_INSTRUCTION if query_instruction is None else query_instruction
    return Family(
        name=name,
        pooling="last-token" if name == "embedding" else "mean",
        document_instruction=_punctuated(document_instruction),
        query_instruction=_punctuated(query_instruction),
        generation_prompt=name == "embedding",
        matryoshka=name == "embedding",
    )


def _punctuated(instruction: str | None) -> str | None:
    """The checkpoints saw instructions that end in punctuation; a full stop is added to one that does not."""
    text = (instruction or "").strip()
    if not text:
        return None
    return text if unicodedata.category(text[-1]).startswith("P") else f"{text}."
