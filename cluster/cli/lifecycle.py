"""`crossray up`, `down` and `status`: the cluster on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.connection import JsonOption, ProfileOption
from cluster.cli.output import remark, with_examples, write_json

if TYPE_CHECKING:
    from cluster.runfile import RunFile
    from cluster.settings import Settings

STOP_S = 60
UP_HELP = """Start the cluster on this machine, on loopback; beyond that (CROSSRAY_HTTP__HOST) an API key is needed.

With `--json`, one document when it is ready: its address, pid, profile, data folder and log.

**Examples**

    crossray up                       # until Ctrl-C
    crossray up --detach --port 9000
    crossray up --profile milvus
    crossray up --profile qwen --pull
    crossray up --detach --json | jq -r .url"""
DOWN_HELP = with_examples(
    "Stop the cluster that `up` started: by its recorded pid and start time, never by a name.",
    "crossray down",
    "crossray down --data-dir /data/photos --json",
)
STATUS_HELP = with_examples(
    "Say what runs, where, and how it is. Exit code 1 when nothing runs.",
    "crossray status",
    "crossray status --json | jq .health.count",
)


def register(app: typer.Typer) -> None:
    app.command("up", help=UP_HELP, rich_help_panel="The cluster")(up)
    app.command("down", help=DOWN_HELP, rich_help_panel="The cluster")(down)
    app.command("status", help=STATUS_HELP, rich_help_panel="The cluster")(status)


def up(
    profile: ProfileOption = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is ready; `down` stops it.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the API [default: the profile's, 8000].")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where vectors and images are kept.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Another encoder than the profile's.")] = None,
    pull: Annotated[bool, typer.Option("--pull", help="First download the checkpoints that are not there.")] = False,
    first_key: Annotated[
        bool, typer.Option("--first-key", help="Where a key is needed and none is valid, make one and print it, once.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    changed = {"CROSSRAY_HTTP__PORT": port, "CROSSRAY_DATA_DIR": data_dir, "CROSSRAY_ENCODER__NAME": encoder}
    os.environ.update({name: str(value) for name, value in changed.items() if value is not None})
    from cluster.settings import load_settings

    settings = load_settings(profile)
    settings.require_checkpoints()
    if pull:
        _pull_missing(settings)
    if first_key:
        _say_first_key(settings)

    def say(run: RunFile) -> None:
        if as_json:
            write_json(_described(run))

    if detach:
        say(_detach(settings, profile))
        return
    from cluster import supervisor

    supervisor.run(settings, announce=remark, on_ready=say)


def _pull_missing(settings: Settings) -> None:
    from cluster.cli.model import fetch
    from cluster.model_cache import pull_if_missing
    from cluster.model_settings import pulled_checkpoints

    folder = settings.models_dir
    for model, revision in pulled_checkpoints(settings.served_models.values()):
        pull_if_missing(model, revision, folder, partial(fetch, model, revision, folder))


def _say_first_key(settings: Settings) -> None:
    from cluster.keys import make_first_key

    if (key := make_first_key(settings)) is not None:
        remark(f"the first API key, of scope admin, shown this once: {key}")


def down(
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the cluster to stop.")] = None,
    as_json: JsonOption = False,
) -> None:
    import psutil

    from cluster.runfile import remove_runfile

    settings, run = _running(data_dir)
    if run is None:
        if as_json:
            write_json({"stopped": False})
        else:
            remark("nothing is running")
        return
    process = psutil.Process(run.pid)
    children = process.children(recursive=True)
    process.terminate()
    _, left = psutil.wait_procs([process], timeout=STOP_S)
    _, left = psutil.wait_procs([*left, *children], timeout=5)
    for survivor in left:  # psutil checks the start time too, so a pid used again is safe
        survivor.kill()
    remove_runfile(settings.data_dir)
    if as_json:
        write_json({"stopped": True, "pid": run.pid, "killed": len(left)})
    else:
        remark(f"stopped {run.url}")


def status(
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the cluster to ask about.")] = None,
    as_json: JsonOption = False,
) -> None:
    import httpx

    _, run = _running(data_dir)
    if run is None:
        if as_json:
            write_json({"running": False})
        else:
            remark("nothing is running: crossray up --detach")
        raise typer.Exit(1)
    answer = _described(run)
    try:
        answer["health"] = httpx.get(f"{run.url}/health/ready", timeout=10, trust_env=False).json()
    except (httpx.HTTPError, ValueError) as error:
        answer["health"] = {"status": "unreachable", "detail": str(error)}
    if as_json:
        write_json(answer)
        return
    health = answer.pop("health")
    for name, value in {**answer, **{f"health.{k}": v for k, v in health.items()}}.items():
        typer.echo(f"{name:16} {value}")


def _described(run: RunFile) -> dict[str, Any]:
    """A running cluster, for machines."""
    return {
        "running": True,
        "url": run.url,
        "pid": run.pid,
        "profile": run.profile,
        "data_dir": run.data_dir,
        "log": run.log,
        "metrics": run.metrics_url,
        "state": run.state,
    }


def _running(data_dir: Path | None) -> tuple[Settings, RunFile | None]:
    from cluster.runfile import read_runfile
    from cluster.settings import load_settings

    if data_dir is not None:
        os.environ["CROSSRAY_DATA_DIR"] = str(data_dir)
    settings = load_settings()
    return settings, read_runfile(settings.data_dir)


def _detach(settings: Settings, profile: str | None) -> RunFile:
    """Runs the supervisor in a session of its own and waits until the cluster is ready."""
    from cluster.keys import require_keys
    from cluster.local_cluster import StartError
    from cluster.page import page_line
    from cluster.runfile import read_runfile
    from cluster.supervisor import require_free, url_of

    require_free(settings)
    require_keys(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    log = settings.data_dir / "crossray.log"
    command = [sys.executable, "-m", "cluster.supervisor", "--log", str(log)]
    command += ["--profile", profile] if profile else []
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, start_new_session=True
        )
    remark(f"starting Crossray ({settings.profile}) at {url_of(settings)}; log: {log}")
    try:
        while process.poll() is None:
            run = read_runfile(settings.data_dir)
            if run is not None and run.pid == process.pid and run.state == "ready":
                remark(f"ready at {run.url} (pid {run.pid}); stop it with  crossray down")
                remark(page_line(settings))
                return run
            time.sleep(0.1)
    except KeyboardInterrupt:
        process.terminate()
        process.wait(STOP_S)
        raise
    raise StartError(f"it did not start: {_fault_in(log.read_text(errors='replace'))} (log: {log})")


def _fault_in(log: str) -> str:
    """The line that says why, else the last one."""
    from cluster.supervisor import FAULT_MARK

    lines = log.strip().splitlines() or ["it said nothing"]
    marked = [line.removeprefix(FAULT_MARK) for line in lines if line.startswith(FAULT_MARK)]
    return (marked or lines)[-1]
