"""What KubeRay hands to Serve: `serveConfigV2`, in Serve's own schema.

The application is `cluster.app:build_app`, called with the settings tree. Secrets are not in it: each process reads
them from its environment, which stands above the tree. A change here is rolled out in place, by Serve.
Source: https://docs.ray.io/en/latest/serve/production-guide/config.html
"""

from __future__ import annotations

from typing import Any

from cluster.manifests.secrets import plain_settings
from cluster.settings import Settings

IMPORT_PATH = "cluster.app:build_app"


def serve_config(settings: Settings) -> dict[str, Any]:
    """A `ServeDeploySchema`: one application at /, behind a proxy on every node that has a replica."""
    return {
        "proxy_location": "EveryNode",
        "http_options": {
            "host": settings.http.host,
            "port": settings.http.port,
            # A little after our own deadline, so that ours answers.
            "request_timeout_s": settings.http.request_timeout_s + 5,
        },
        "logging_config": settings.logs.for_serve(),
        "applications": [
            {
                "name": "crossray",
                "route_prefix": "/",
                "import_path": IMPORT_PATH,
                "args": plain_settings(settings),
            }
        ],
    }
