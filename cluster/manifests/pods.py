"""How large the pods are and where they may run: what an overlay's `pods.yaml` says, beside the profile it names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from cluster.errors import SettingsError
from cluster.section import Section

MAX_NAME_CHARS = 47
"""KubeRay appends to a RayService's name, and what comes out must be a Kubernetes name."""


def _is_pinned(image: str) -> str:
    _, separator, tag = image.rpartition("/")[2].partition("@" if "@" in image else ":")
    if not separator or not tag or tag == "latest":
        raise ValueError("wants a tag other than latest, or a digest: pods that start later must run the same")
    return image


Image = Annotated[str, AfterValidator(_is_pinned)]
GroupName = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")]


class PodSize(Section):
    """What a Ray pod requests; its limits are the same, so that it is among the last to be evicted."""

    cpu: int = Field(ge=1, description="Whole cores: Ray counts them as the node's.")
    memory_gib: int = Field(ge=2, description="Memory, the object store in /dev/shm included.")
    node_selector: dict[str, str] = Field(default={}, description="Labels that the node must have.")


class WorkerGroup(PodSize):
    """Pods that are alike. Replicas run in these only."""

    name: GroupName = Field(description="Of the group.")
    min_pods: int = Field(ge=1, description="Pods that always run.")
    max_pods: int = Field(ge=1, description="Pods at the most; above min_pods the Ray autoscaler is on.")
    gpus: int = Field(0, ge=0, description="GPUs a pod.")
    gpu_resource: str = Field(
        "nvidia.com/gpu", pattern="gpu$", description="The device plugin's name for them; Ray counts those that end so."
    )

    @model_validator(mode="after")
    def _in_order(self) -> WorkerGroup:
        if self.max_pods < self.min_pods:
            raise ValueError(f"max_pods is {self.max_pods}, less than min_pods {self.min_pods}")
        return self


class Pods(Section):
    """The pods of one RayService."""

    profile: str = Field(description="The settings profile to render: a name, or a YAML file.")
    name: str = Field("crossray", pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=MAX_NAME_CHARS)
    image: Image = Field(description="Of this repository's Dockerfile, with a tag or a digest.")
    head: PodSize
    workers: list[WorkerGroup] = Field(min_length=1)

    @property
    def autoscaled(self) -> bool:
        return any(group.max_pods > group.min_pods for group in self.workers)


def load_pods(path: Path) -> Pods:
    """Raises SettingsError, naming the file and the field."""
    try:
        return Pods.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise SettingsError(f"{path}: {faults}") from error
