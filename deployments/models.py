"""The encoders that run, by what a request may call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deployments.embeddings import EmbeddingService
from deployments.errors import BadRequest
from encoders import EncoderInfo


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder that runs, and what makes vectors with it for their own sake."""

    info: EncoderInfo
    embeddings: EmbeddingService

    @property
    def names(self) -> tuple[str, str, str]:
        """Its registered name, its checkpoint, and its fingerprint, which no other has."""
        return self.info.name, self.info.contract.model, self.info.contract.fingerprint


class Models:
    """At least one, each of its own contract. The first is the collection's: items are stored and searched with it."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = tuple(models)
        if len({model.info.contract.fingerprint for model in models}) < len(models):
            raise ValueError("two encoders have the same contract: one deployment of more replicas does what they do")

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models)

    @property
    def first(self) -> Model:
        return self._models[0]

    def named(self, name: str | None) -> Model:
        """The model of that name, the first of those that share it; None is the first of all. Raises BadRequest."""
        if name is None:
            return self.first
        for model in self._models:
            if name in model.names:
                return model
        here = ", ".join(repr(model.info.name) for model in self._models)
        raise BadRequest(f"there is no model {name!r}; here: {here}", "model", "model_not_found")
