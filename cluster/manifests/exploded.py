"""`kubectl kustomize FOLDER | python -m cluster.manifests.exploded`: the same objects for tools that know core kinds
only, with a Deployment in the place of each pod template of a RayService. For validators and scanners, never to apply.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from cluster.manifests.yaml_text import to_yaml_stream


def exploded(objects: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every object; in the place of a RayService its pods."""
    for item in objects:
        if item["kind"] == "RayService":
            yield from _deployments(item)
        else:
            yield item


def _deployments(service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cluster = service["spec"]["rayClusterConfig"]
    templates = {"head": cluster["headGroupSpec"]["template"]}
    templates |= {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    for name, template in templates.items():
        metadata = {**service["metadata"], "name": f"{service['metadata']['name']}-{name}"}
        selector = {"matchLabels": template["metadata"]["labels"]}
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"selector": selector, "template": template},
        }


if __name__ == "__main__":
    objects = [item for item in yaml.safe_load_all(sys.stdin) if item]
    sys.stdout.write(to_yaml_stream(exploded(objects)))
