"""The branches of the settings tree that name a model: the encoder, the reranker, and what reads queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from cluster.errors import SettingsError
from cluster.scaling_settings import DrainSettings
from cluster.section import ScaleSettings, Section

EXPORTING_ENCODERS = {"starter"}
"""Encoders that keep an exported model in the cache folder."""
PULLED_MODELS = {"qwen3-vl", "qwen3-vl-reranker", "qwen3-vl-structurer", "dual-tower"}
"""Models that load a checkpoint: the option `model` names it."""


class ModelSettings(Section):
    """What the branches of models have in common. `name` and `scale` have defaults in each."""

    name: str
    scale: ScaleSettings
    options: dict[str, Any] = Field(default={}, description="Passed to the model, such as `model`, its checkpoint.")


class EncoderSettings(ModelSettings):
    """The encoder and how it batches."""

    name: str = Field("starter", description="An encoder of `crossray model list`.")
    max_batch_size: int = Field(16, ge=1, description="Most items in a batch.")
    max_batch_cost: int = Field(65536, ge=1, description="Most cost in a batch: visual and text tokens.")
    max_queued: int = Field(
        1024,
        ge=1,
        description="Items of a lane that may wait at a replica, and inputs of searches in an ingress, before callers "
        "get 429.",
    )
    bulk_patience_s: float = Field(5, gt=0, description="A bulk item that waited this long joins the next batch.")
    interactive_calls: int = Field(
        3, ge=1, description="Calls of searches under way to each replica; what is beyond waits in the ingress."
    )
    bulk_calls: int = Field(2, ge=1, description="Bulk calls under way to each replica; all but one are whole batches.")
    prepare_workers: int = Field(2, ge=1, description="Threads or processes that decode, resize and tokenise.")
    prepare_in_processes: bool = Field(False, description="Prepare in processes, so that a GPU never waits.")
    scale: ScaleSettings = ScaleSettings(num_cpus=0.5)
    drain: DrainSettings = Field(DrainSettings(), description="How many replicas there are between scale's bounds.")


class RerankSettings(ModelSettings):
    """A second model that reads query and document together: `/v1/rerank`, and the first hits of a search."""

    enabled: bool = Field(False, description="Run a reranker.")
    name: str = Field("qwen3-vl-reranker", description="A reranker of `crossray model list`.")
    searches: bool = Field(False, description="Rerank searches that do not say.")
    depth: int = Field(20, ge=1, le=100, description="Hits of a search that are reranked.")
    deadline_ms: int = Field(500, ge=1, le=60_000, description="After this the dense order stands.")
    margin: float | None = Field(
        0.1,
        ge=0,
        le=2,
        description="Rerank only when the cosines of the first and the last hit asked for are this close; null: "
        "always. The default is a guess, measured for no encoder and no collection, and how far apart cosines lie "
        "depends on both: set it from the rerank stage's reasons, which tell the gap of each search that was skipped.",
    )
    max_batch_size: int = Field(8, ge=1, description="Most pairs in a batch.")
    max_batch_cost: int = Field(65536, ge=1, description="Most cost in a batch: visual and text tokens.")
    max_queued: int = Field(1024, ge=1, description="Pairs that may wait before callers get 429.")
    prepare_workers: int = Field(1, ge=1, description="Threads or processes that decode, resize and tokenise.")
    prepare_in_processes: bool = Field(False, description="Prepare in processes, so that a GPU never waits.")
    scale: ScaleSettings = Field(
        ScaleSettings(num_cpus=0.2, max_ongoing_requests=32),
        description="With min_replicas 0 it sleeps when nobody asks; the first request wakes it, and a search that "
        "cannot wait gets the dense order.",
    )


class StructurerSettings(ModelSettings):
    """A model that reads what a query asks for. Where it cannot, or not in time, the template is used."""

    enabled: bool = Field(False, description="Run it, for searches that ask; `queries.rewrite: model` runs it too.")
    name: str = Field("qwen3-vl-structurer", description="A query structurer of `crossray model list`.")
    deadline_ms: int = Field(1000, ge=1, le=60_000, description="A search waits no longer; equal queries are cached.")
    max_batch_size: int = Field(8, ge=1, description="Most queries in a batch.")
    max_queued: int = Field(256, ge=1, description="Queries that may wait; more are left to the template.")
    scale: ScaleSettings = Field(
        ScaleSettings(num_cpus=0.2, max_ongoing_requests=64), description="With min_replicas 0 it sleeps unless asked."
    )


class QuerySettings(Section):
    """What is done to the words of a search."""

    rewrite: Literal["off", "template", "model"] = Field(
        "off",
        description="`template`: drop what merely asks, and put the rest into the encoder's prompt. `model`: likewise, "
        "as a model reads the query.",
    )
    structurer: StructurerSettings = StructurerSettings()

    @property
    def runs_structurer(self) -> bool:
        return self.structurer.enabled or self.rewrite == "model"


MODEL_BRANCHES: dict[tuple[str, ...], type[ModelSettings]] = {
    ("encoder",): EncoderSettings,
    ("rerank",): RerankSettings,
    ("queries", "structurer"): StructurerSettings,
}


def require_checkpoint(name: str, options: Mapping[str, Any], field: str) -> None:
    """Raises SettingsError, naming `field`, for a model that loads a checkpoint and is not told which."""
    if name in PULLED_MODELS and not options.get("model"):
        raise SettingsError(f"{field} is missing: {name} loads a checkpoint, by its hub id or from a folder")


def pulled_checkpoints(models: Iterable[ModelSettings]) -> list[tuple[str, str | None]]:
    """What `crossray model pull` must have fetched before these models are served: names, and revisions where one is
    asked for. A checkpoint in a folder of its own is not pulled."""
    options = [model.options for model in models if model.name in PULLED_MODELS]
    checkpoints = {(str(one["model"]), one.get("revision")) for one in options}
    return sorted((one for one in checkpoints if not one[0].startswith(("/", ".", "~"))), key=str)


def drop_options_of_others(profile: dict[str, Any], environment: Mapping[str, Any]) -> None:
    """Takes out of a profile the options of each model in whose place the environment puts another."""
    for path, branch in MODEL_BRANCHES.items():
        ours, theirs = _at(environment, path), _at(profile, path)
        name = theirs.get("name", branch.model_fields["name"].default)
        if ours.get("name", name) != name:
            theirs.pop("options", None)


def _at(tree: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """The branch of a tree; an empty one where it has none, or something else there."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}
