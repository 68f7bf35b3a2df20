"""Two encoder replicas with a GPU each see different devices. The GPUs are Ray's logical ones: none need be there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, os, pathlib, shutil, sys, tempfile
from cluster.app_options import encoder_options
from cluster.deployment_options import deployment
from cluster.environment import ray_environment
from cluster.model_settings import EncoderSettings
from cluster.section import ScaleSettings
from cluster.settings import Settings

scale = ScaleSettings(min_replicas=2, max_replicas=2, num_cpus=0.1, num_gpus=1)
settings = Settings(encoder=EncoderSettings(name="fake", scale=scale), ray={"ingress": "proxy"})
os.environ.update(ray_environment(settings))

import ray
from ray import serve
from deployments.encoder import EncoderDeployment, EncodeTask
from encoders import EncoderInput


class SeeingEncoder(EncoderDeployment):
    async def devices(self):
        return os.environ.get("CUDA_VISIBLE_DEVICES")


temporary = tempfile.mkdtemp(prefix="crossray-")  # short: sockets lie under it
ray.init(
    address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=temporary,
    object_store_memory=80 << 20,
    runtime_env={"worker_process_setup_hook": "cluster.loopback.mend_sockets"},
)
try:
    serve.start(http_options={"host": "127.0.0.1", "location": "NoServer"})
    encoder = deployment(SeeingEncoder, "Encoder", scale).bind(encoder_options(settings, settings.encoder))
    handle = serve.run(encoder, route_prefix=None)
    seen, reply = set(), None
    for _ in range(200):
        seen.add(handle.devices.remote().result(timeout_s=60))
        if len(seen) > 1:
            break
    reply = handle.encode.remote([EncodeTask(EncoderInput("red"), "query")]).result(timeout_s=60)
    answer = {"seen": sorted(map(str, seen)), "dim": len(reply.outcomes[0].unwrap())}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(answer))
finally:
    serve.shutdown()
    ray.shutdown()
    shutil.rmtree(temporary, ignore_errors=True)
"""


@pytest.mark.timeout(300)
def test_two_replicas_see_different_devices(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSRAY_", "RAY_"))}
    inherited.pop("CUDA_VISIBLE_DEVICES", None)
    script = tmp_path / "two_replicas.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "answer.json")],
        cwd=root,
        env=inherited | {"HOME": str(home), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer == {"seen": ["0", "1"], "dim": 64}
