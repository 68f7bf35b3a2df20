"""Looking at an embedding: its figures, a plot as SVG, its files, and the cosine of two."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from page.api import Json
from page.markup import facts, text
from page.words import Words

Vector = NDArray[np.float32]
PLOT_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Embedding:
    """A vector of shape (dimension,) and what made it."""

    vector: Vector
    model: str
    fingerprint: str

    @property
    def norm(self) -> float:
        return float(np.linalg.norm(self.vector))


def read_embedding(answer: Json) -> Embedding:
    """From `Api.embed`: little-endian float32 in base64, as OpenAI's clients decode it."""
    vector = np.frombuffer(base64.b64decode(answer["embedding"]), dtype="<f4")
    return Embedding(vector, answer["model"], answer["fingerprint"])


def cosine(first: Embedding, second: Embedding) -> float:
    """In -1…1, and 0 where one has no direction. Raises ValueError when two contracts made them."""
    if first.fingerprint != second.fingerprint:
        raise ValueError(f"vectors of {first.fingerprint} and {second.fingerprint} cannot be compared")
    norms = first.norm * second.norm
    return float(first.vector @ second.vector) / norms if norms else 0.0


def as_json(embedding: Embedding) -> bytes:
    content = {"model": embedding.model, "fingerprint": embedding.fingerprint, "embedding": embedding.vector.tolist()}
    return json.dumps(content).encode()


def as_npy(embedding: Embedding) -> bytes:
    """NumPy's own format: a float32 array of shape (dimension,)."""
    out = io.BytesIO()
    np.save(out, embedding.vector, allow_pickle=False)
    return out.getvalue()


def plot(words: Words, embedding: Embedding) -> str:
    """Each component as a bar of an SVG, one unit wide, scaled to the largest."""
    vector = embedding.vector
    top = float(np.abs(vector).max(initial=0.0)) or 1.0
    half = PLOT_HEIGHT / 2
    bars = "".join(f"M{column}.5 {half}V{half - half * float(v) / top:.1f}" for column, v in enumerate(vector))
    low, high = float(vector.min(initial=0.0)), float(vector.max(initial=0.0))
    label = words("embedding.plot", dimension=vector.size, low=f"{low:.3f}", high=f"{high:.3f}")
    return (
        f'<figure class="cr-plot"><svg viewBox="0 0 {vector.size} {PLOT_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(label)}"><path d="{bars}"/></svg><figcaption>{text(label)}</figcaption></figure>'
    )


def embedding_view(words: Words, name: str, embedding: Embedding) -> str:
    """Figures, plot and downloads of one embedding; `name` is A or B."""
    about = facts(
        [
            (words("embedding.dimension"), embedding.vector.size),
            (words("embedding.norm"), f"{embedding.norm:.6f}"),
            (words("embedding.fingerprint"), embedding.fingerprint),
            (words("embedding.model"), embedding.model),
        ]
    )
    saves = " ".join(
        f'<a class="cr-button" download="embedding-{name}.{kind}" href="{_data_uri(mime, data)}">'
        f"{text(words('embedding.download'))} {kind.upper()}</a>"
        for kind, mime, data in (
            ("json", "application/json", as_json(embedding)),
            ("npy", "application/octet-stream", as_npy(embedding)),
        )
    )
    return f'<section class="cr-embedding"><h3>{name}</h3>{about}{plot(words, embedding)}<p>{saves}</p></section>'


def comparison(words: Words, first: Embedding, second: Embedding) -> str:
    """The cosine of two embeddings, in words."""
    title, meaning = words("embedding.cosine"), words("embedding.cosine.note")
    return (
        f'<p class="cr-note cr-cosine" role="status">{text(title)}: <strong>{cosine(first, second):.4f}</strong> '
        f"({text(meaning)})</p>"
    )


def _data_uri(mime: str, data: bytes) -> str:
    """The file inside the page: nothing to store on the server, nothing to clean up."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
