"""The models that an evaluation asks for: by a name of the tables or a checkpoint's, with the settings' options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.errors import ClusterError
from cluster.model_settings import require_checkpoint
from cluster.settings import Settings
from encoders.base import Encoder
from encoders.queries import QueryStructurer, Rewrite, RuleStructurer
from encoders.registry import RERANKERS, STRUCTURERS, load_encoder, load_reranker, load_structurer
from encoders.reranking import Reranker


def encoder_of(settings: Settings, name: str | None, given: Mapping[str, Any]) -> Encoder:
    """The encoder called `name`, or the profile's; `given` options go over the profile's.

    Raises ClusterError for options that it does not take, and what loading an encoder raises.
    """
    chosen = name or settings.encoder.name
    options = settings.options_of(chosen) | dict(given)
    require_checkpoint(chosen, options, "--option model=…")
    try:
        return load_encoder(chosen, **options)
    except (TypeError, ValueError) as error:
        if not given:
            raise
        raise ClusterError(f"the encoder {chosen} does not take these options: {error}") from error


def reranker_of(settings: Settings, name: str, given: Mapping[str, Any]) -> Reranker:
    """One of the table by its name; any other name is a checkpoint's, for the Qwen3-VL reranker. Raises alike."""
    chosen = name if name in RERANKERS else "qwen3-vl-reranker"
    checkpoint = {} if name in RERANKERS else {"model": name}
    options = settings.options_of_reranker(chosen) | checkpoint | dict(given)
    require_checkpoint(chosen, options, "--rerank-option model=…")
    try:
        return load_reranker(chosen, **options)
    except TypeError as error:
        raise ClusterError(f"the reranker {chosen} does not take these options: {error}") from error


def structurers_of(settings: Settings, ways: Sequence[Rewrite], name: str | None) -> dict[str, QueryStructurer]:
    """What reads the captions for each way; a name that is not in the table is a checkpoint's. Raises alike."""
    structurers: dict[str, QueryStructurer] = {"template": RuleStructurer()} if "template" in ways else {}
    if "model" not in ways:
        return structurers
    table = {settings.queries.structurer.name} if name is None else {name} & STRUCTURERS.keys()
    chosen = next(iter(table), "qwen3-vl-structurer")
    options = settings.options_of_structurer(chosen) | ({} if table else {"model": name})
    require_checkpoint(chosen, options, "--rewrite-model")
    try:
        structurers["model"] = load_structurer(chosen, **options)
    except TypeError as error:
        raise ClusterError(f"the query structurer {chosen} does not take these options: {error}") from error
    return structurers
