"""Everything that an evaluation compares, embedded once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cluster.errors import BadDataset
from cluster.evaluation.captions import CaptionedImage, languages_of
from cluster.evaluation.ranks import Owners
from encoders.base import Encoder, EncoderInput, Role, Vectors, encode

PROBE = 4
"""How many inputs decide whether an encoder treats queries and documents alike."""

Advance = Callable[[str, int], None]
"""Told what was embedded ("photos", "captions en") and how many since the last call."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Vectors `(n, dim)` of one kind of thing in both roles, and the photo each belongs to."""

    query: Vectors
    document: Vectors
    owner: Owners


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedCaptions:
    """A data set in vectors. `encoded` counts the calls' inputs, for rates."""

    images: Embedded
    captions: dict[str, Embedded]
    texts: dict[str, list[str]]
    image_seconds: float
    text_seconds: float
    encoded_images: int
    encoded_texts: int


def embed_captions(
    encoder: Encoder, images: Sequence[CaptionedImage], *, batch_size: int, advance: Advance = lambda _name, _n: None
) -> EmbeddedCaptions:
    """Photos and captions, as queries and as documents. Raises BadDataset naming an input that cannot be embedded."""
    started = time.monotonic()
    photos = _Task(encoder, batch_size, lambda n: advance("photos", n))
    embedded = photos.both_roles(
        lambda: (EncoderInput(image=image.path.read_bytes()) for image in images),
        [image.name for image in images],
        np.arange(len(images)),
    )
    image_seconds = time.monotonic() - started
    captions, texts, encoded_texts = {}, {}, 0
    for language in languages_of(list(images)):
        rows = [(row, text) for row, image in enumerate(images) for text in image.captions.get(language, ())]
        task = _Task(encoder, batch_size, lambda n, name=f"captions {language}": advance(name, n))  # type: ignore[misc]
        texts[language] = [text for _, text in rows]
        captions[language] = task.both_roles(
            lambda rows=rows: (EncoderInput(text=text) for _, text in rows),  # type: ignore[misc]
            [f"{images[row].name} {language} {text!r}" for row, text in rows],
            np.array([row for row, _ in rows], dtype=np.int64),
        )
        encoded_texts += task.encoded
    return EmbeddedCaptions(
        embedded,
        captions,
        texts,
        image_seconds,
        time.monotonic() - started - image_seconds,
        photos.encoded,
        encoded_texts,
    )


def embed_photos(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _n: None,
) -> Vectors:
    """As documents alone, `(n, dim)`. Raises BadDataset naming a photo that cannot be embedded."""
    return _Task(encoder, batch_size, advance).documents(
        (EncoderInput(image=image.path.read_bytes()) for image in images), [image.name for image in images]
    )


def embed_queries(
    encoder: Encoder, texts: Sequence[str], *, batch_size: int, advance: Callable[[int], None] = lambda _n: None
) -> Vectors:
    """Texts as queries alone, `(n, dim)`. Raises BadDataset naming a text that cannot be embedded."""
    return _Task(encoder, batch_size, advance).queries(texts)


def embed_rewritten(
    encoder: Encoder,
    texts: Sequence[str],
    owner: Owners,
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _n: None,
) -> Embedded:
    """Captions rewritten to queries; they are never documents, so both roles are the query's."""
    vectors = embed_queries(encoder, texts, batch_size=batch_size, advance=advance)
    return Embedded(vectors, vectors, owner)


class _Task:
    """Embeds one kind of thing with progress."""

    def __init__(self, encoder: Encoder, batch_size: int, advance: Callable[[int], None]) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._advance = advance
        self.encoded = 0

    def both_roles(self, inputs: Callable[[], Iterator[EncoderInput]], names: Sequence[str], owner: Owners) -> Embedded:
        """Most encoders without instructions give a query and a document the same vector; then one pass does."""
        documents = self._embed(inputs(), names, "document")
        probe = list(islice(inputs(), PROBE))
        alike = np.array_equal(
            encode(self._encoder, probe, "query").vectors, encode(self._encoder, probe, "document").vectors
        )
        queries = documents if alike else self._embed(inputs(), names, "query")
        return Embedded(queries, documents, owner)

    def documents(self, inputs: Iterator[EncoderInput], names: Sequence[str]) -> Vectors:
        return self._embed(inputs, names, "document")

    def queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed((EncoderInput(text=text) for text in texts), texts, "query")

    def _embed(self, inputs: Iterator[EncoderInput], names: Sequence[str], role: Role) -> Vectors:
        vectors = np.empty((len(names), self._encoder.info.dim), dtype=np.float32)
        row = 0
        while batch := list(islice(inputs, self._batch_size)):
            answer = encode(self._encoder, batch, role)
            for offset, error in enumerate(answer.errors):
                if error is not None:
                    raise BadDataset(f"{names[row + offset]}: {error}")
            vectors[row : row + len(batch)] = answer.vectors
            row += len(batch)
            self.encoded += len(batch)
            self._advance(len(batch))
        return vectors
