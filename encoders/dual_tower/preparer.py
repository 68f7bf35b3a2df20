"""The CPU half: a text to token ids, an image to the pixels of its tower, with the checkpoint's own processing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.base import EncoderInput, Prepared, Role
from encoders.errors import InputError
from encoders.images import ImageLimits, decode
from encoders.texts import clean

Arrays: TypeAlias = dict[str, NDArray[Any]]

MAX_TEXT_CHARS = 8192
PREPROCESSING_VERSION = 1
"""Raised when what this module makes of the same input changes."""


@dataclass(frozen=True, slots=True)
class PromptTemplates:
    """What stands around a text; `{}` is its place. CLIP's authors use `a photo of {}` to make a caption of a class."""

    query: str = "{}"
    document: str = "{}"

    def __post_init__(self) -> None:
        for template in (self.query, self.document):
            if template.count("{}") != 1:
                message = f"a prompt template needs one {{}} for the text: {template!r} has {template.count('{}')}"
                raise InputError(message, code="invalid_template", param="template")

    def fill(self, text: str, role: Role) -> str:
        # Not str.format: braces in a text are text.
        return (self.query if role == "query" else self.document).replace("{}", text)


@dataclass(frozen=True, slots=True)
class TowerInput:
    """Arguments of the two towers for one item, without the batch axis. An absent modality is None."""

    text: Arrays | None
    image: Arrays | None


@dataclass(frozen=True, slots=True)
class DualTowerPreparer:
    """Pickles, holds no weights. Threads may share it once `warm` has run, which loading sees to.

    Texts longer than `text_tokens` are cut: the towers have no more places, and their users count on it.
    """

    tokenizer: Any
    image_processor: Any
    templates: PromptTemplates
    limits: ImageLimits
    text_tokens: int
    full_length_text: bool
    lowercase: bool
    image_tokens: int

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        modality = item.modality
        text = None if item.text is None else self._text(item.text, role)
        image = None if item.image is None else self._image(item.image)
        cost = (0 if text is None else len(text["input_ids"])) + (0 if image is None else self.image_tokens)
        return Prepared(TowerInput(text, image), cost, modality)

    def warm(self) -> None:
        """The first call sets the tokenizer's truncation for good; later calls only read it, from any thread."""
        self._tokenise("warm")

    def _text(self, text: str, role: Role) -> Arrays:
        return self._tokenise(self.templates.fill(clean(text, MAX_TEXT_CHARS), role))

    def _tokenise(self, text: str) -> Arrays:
        encoded = self.tokenizer(
            text.lower() if self.lowercase else text,
            truncation=True,
            max_length=self.text_tokens,
            padding="max_length" if self.full_length_text else False,
        )
        return {name: np.asarray(values, dtype=np.int64) for name, values in encoded.items()}

    def _image(self, data: bytes) -> Arrays:
        image = decode(data, self.limits)
        processed = self.image_processor(image, return_tensors="np")
        return {name: np.asarray(values[0]) for name, values in processed.items()}
