"""What `check_image.sh` runs inside the image: Ray as KubeRay starts it, and the rendered application on it.

Milvus, Redis and the model are left out by variables, as the ConfigMap crossray-settings would.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from deployments.keys.api_key import ApiKey, digest_of, generate

DASHBOARD, AGENT, API = "http://127.0.0.1:8265", "http://127.0.0.1:52365", "http://127.0.0.1:8000"
READY_TIMEOUT_S = 300
TOKEN = secrets.token_hex(32)
KEY_ID, API_KEY = generate()
STAND_INS = {
    "CROSSRAY_AUTH__STATIC_KEYS": ApiKey(KEY_ID, "write", digest_of(API_KEY)).entry(),
    "CROSSRAY_CACHE__BACKEND": "none",
    "CROSSRAY_INDEX__BACKEND": "memory",
    "CROSSRAY_INDEX__SCALE": '{"min_replicas": 1, "max_replicas": 1}',
    "CROSSRAY_ENCODER__NAME": "fake",
    "CROSSRAY_ENCODER__SCALE__NUM_CPUS": "0.25",
}
OPERATORS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "USER": "crossray"}
SLOW_MACHINE = {"RAY_raylet_start_wait_time_s": "180"}


def main(manifest: Path) -> None:
    service = next(yaml.safe_load_all(manifest.read_text(encoding="utf-8")))
    group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
    container = group["template"]["spec"]["containers"][0]
    variables = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    os.environ.update(variables | STAND_INS | OPERATORS | SLOW_MACHINE)
    say("a user that is not root", os.getuid() > 0)
    say("a root that cannot be written", not os.access("/opt", os.W_OK))
    start_ray(group["rayStartParams"])
    for name, url in (("raylet", f"{AGENT}/api/local_raylet_healthz"), ("GCS", f"{DASHBOARD}/api/gcs_healthz")):
        wget = subprocess.run(["wget", "-q", "-T", "10", "-O", "-", url], capture_output=True, text=True, check=False)  # noqa: S603, S607
        say(f"the operator's probe of the {name}", "success" in wget.stdout)
    say("the dashboard refuses who has no token", status_of(f"{DASHBOARD}/api/serve/applications/") == 401)
    call(f"{DASHBOARD}/api/serve/applications/", yaml.safe_load(service["spec"]["serveConfigV2"]), "PUT")
    application = wait_for_application()
    for name, deployment in application["deployments"].items():
        say(f"{name}, {len(deployment['replicas'])} replicas", deployment["status"] == "HEALTHY")
    say("the proxy's health", status_of(f"{API}/-/healthz") == 200)
    say("the API's readiness", status_of(f"{API}/health/ready") == 200)
    say("the API refuses who has no key", status_of(f"{API}/v1/models") == 401)
    stored = call(f"{API}/v1/items", {"text": "a cat asleep"}, token=API_KEY)
    found = call(f"{API}/v1/search", {"text": "a cat asleep", "target": "any"}, token=API_KEY)
    say("what was stored is found", [hit["id"] for hit in found["hits"]] == [stored["id"]])


def start_ray(params: dict[str, str]) -> None:
    flags = [f"--{name}={value}" for name, value in params.items()]
    command = ["ray", "start", "--head", "--num-cpus=2", "--node-ip-address=127.0.0.1", *flags]
    done = subprocess.run(["/bin/bash", "-c", " ".join(command)], capture_output=True, text=True, check=False)  # noqa: S603
    say("ray start", done.returncode == 0, done.stderr[-2000:])


def wait_for_application() -> dict[str, Any]:
    deadline = time.monotonic() + READY_TIMEOUT_S
    application: dict[str, Any] = {}
    while time.monotonic() < deadline and application.get("status") not in ("RUNNING", "DEPLOY_FAILED", "UNHEALTHY"):
        time.sleep(1)
        application = call(f"{DASHBOARD}/api/serve/applications/")["applications"].get("crossray", {})
    say("the application", application.get("status") == "RUNNING", application.get("message", "")[-2000:])
    return application


def call(url: str, body: Any = None, method: str | None = None, token: str = TOKEN) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        content = answer.read()
    return json.loads(content) if content else None


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def say(what: str, true: bool, otherwise: str = "") -> None:
    sys.stdout.write(f"{'ok    ' if true else 'FAILED'} {what}\n")
    sys.stdout.flush()
    if not true:
        sys.exit(otherwise or 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
