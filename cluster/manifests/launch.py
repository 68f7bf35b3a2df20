"""What the machines of a cluster of Ray's own launcher are given (`cluster/launch/node/`): the environment that Ray
starts in, and the application for Serve. The launcher's files themselves lie as plain YAML beside that folder.

Source: https://docs.ray.io/en/latest/cluster/vms/references/ray-cluster-configuration.html
"""

from __future__ import annotations

import shlex

from cluster.environment import image_environment, serving_environment
from cluster.manifests.secrets import secret_fields
from cluster.manifests.serve_config import serve_config
from cluster.manifests.yaml_text import to_yaml
from cluster.settings import load_settings

PROFILE = "kubernetes-gpu"
"""For any cluster of several machines: what differs by site, site.env sets above it."""
HEADER = f"# Written by python -m cluster.manifests from the profile {PROFILE}; do not edit.\n"
SITE = "$HOME/crossray-site"
"""Where the operator's own files are mounted: a token that Ray's processes show each other, addresses, passwords."""


def rendered() -> dict[str, str]:
    """What is in each file. Raises SettingsError."""
    settings = load_settings(PROFILE)
    variables = image_environment(settings) | serving_environment(settings)
    variables |= {"RAY_AUTH_MODE": "token", "OBJECT_STORE_BYTES": str(settings.ray.object_store_bytes)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    lines += [f'export RAY_AUTH_TOKEN_PATH="{SITE}/ray-token"', f'set -a; . "{SITE}/site.env"; set +a']
    needed = ["CROSSRAY_INDEX__URI", *(field.variable for field in secret_fields(settings) if field.is_set)]
    lines += [f': "${{{name}:?is not in site.env}}"' for name in needed]
    return {
        "node.env": HEADER + "\n".join(lines) + "\n",
        "serve.yaml": HEADER + to_yaml(serve_config(settings)),
    }
