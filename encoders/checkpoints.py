"""Where a checkpoint lies on this machine, and exactly which one it is. Never touches the network.

A model is named by a hub id (`Qwen/Qwen3-VL-Embedding-2B`), by the same id on ModelScope
(`modelscope://Qwen/Qwen3-VL-Embedding-2B`), or by a local folder. `crossray model pull` puts the first two into the
models folder; the Hugging Face cache is looked at too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from encoders.errors import ModelUnavailable

MODELSCOPE = "modelscope://"
PROVENANCE_FILE = "crossray.json"
SUFFIXES = (".json", ".jinja", ".safetensors", ".txt", ".model")
DEFAULT_MODELS_DIR = Path("~/.cache/crossray/models")

_SAMPLES_PER_FILE = 64
_SAMPLE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint's folder, the id it goes by, and the revision of its weights."""

    folder: Path
    model: str
    revision: str

    def read_json(self, name: str) -> dict[str, Any]:
        """The JSON file `name`, or an empty dict when the checkpoint has none."""
        path = self.folder / name
        if not path.is_file():
            return {}
        loaded = json.loads(path.read_text(encoding="utf-8"))
        return loaded if isinstance(loaded, dict) else {}


def find_checkpoint(model: str, revision: str | None = None, models_dir: str | Path | None = None) -> Checkpoint:
    """The checkpoint on this machine's disk.

    A local folder that says where it came from keeps that id and revision; any other is known by its folder's name
    and a digest of its files, so that two trainings of one model never pass for each other.
    Raises ModelUnavailable, with the command to run, when it is not here.
    """
    as_folder = Path(model).expanduser()
    if as_folder.is_dir():
        return _local(as_folder, revision)
    if model.startswith(("/", ".", "~")):
        raise ModelUnavailable(f"there is no folder {model}")
    pulled = pulled_folder(model, revision, models_dir)
    if (pulled / PROVENANCE_FILE).is_file():
        return _local(pulled, revision)
    cached = None if model.startswith(MODELSCOPE) else _hub_cache(model, revision)
    if cached is not None:
        return Checkpoint(cached, model, cached.name)
    pin = f" --revision {revision}" if revision else ""
    raise ModelUnavailable(
        f"the model {model} ({revision or 'default revision'}) is not on this machine, and serving never downloads. "
        f"Run  crossray model pull {model}{pin}  where there is a network, or give a local folder as the model"
    )


def pulled_folder(model: str, revision: str | None, models_dir: str | Path | None) -> Path:
    """Where `crossray model pull` puts a model: one folder a source, model and revision asked for."""
    source = "modelscope" if model.startswith(MODELSCOPE) else "huggingface"
    root = Path(models_dir) if models_dir is not None else DEFAULT_MODELS_DIR
    return root.expanduser() / source / model.removeprefix(MODELSCOPE).replace("/", "--") / (revision or "default")


def belongs(path: str) -> bool:
    """Whether a listed path is a file of its checkpoint: of the top folder only, so that none is written elsewhere."""
    pure = PurePosixPath(path)
    return len(pure.parts) == 1 and pure.name not in ("..", PROVENANCE_FILE) and pure.suffix in SUFFIXES


def write_provenance(checkpoint: Checkpoint, asked: str | None) -> Checkpoint:
    """Says in the folder where it came from: from now on it counts as pulled, at the revision `asked` for."""
    origin = {"model": checkpoint.model, "revision": checkpoint.revision, "asked_revision": asked or "default"}
    (checkpoint.folder / PROVENANCE_FILE).write_text(json.dumps(origin), encoding="utf-8")
    return checkpoint


def digest(folder: Path) -> str:
    """16 hex digits of the folder's files: the small ones whole, 64 spread samples of each large one.

    Training changes every block of the weights, so samples tell two trainings apart without reading gigabytes.
    """
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if not belongs(path.name):
            continue
        size = path.stat().st_size
        total.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as file:
            if size <= _SAMPLES_PER_FILE * _SAMPLE_BYTES:
                total.update(file.read())
                continue
            step = (size - _SAMPLE_BYTES) / (_SAMPLES_PER_FILE - 1)
            for sample in range(_SAMPLES_PER_FILE):
                file.seek(round(sample * step))
                total.update(file.read(_SAMPLE_BYTES))
    return total.hexdigest()[:16]


def _local(folder: Path, revision: str | None) -> Checkpoint:
    if not (folder / "config.json").is_file():
        raise ModelUnavailable(f"{folder} has no config.json: it is not a checkpoint folder")
    origin = Checkpoint(folder, "", "").read_json(PROVENANCE_FILE)
    if not origin:
        found = digest(folder)
        if revision is not None and revision != found:
            raise ModelUnavailable(f"{folder} holds revision {found}, not the {revision} that was asked for")
        return Checkpoint(folder, folder.resolve().name, found)
    asked, resolved = str(origin.get("asked_revision", "")), str(origin["revision"])
    if revision is not None and revision not in (asked, resolved):
        raise ModelUnavailable(f"{folder} holds revision {resolved}, not the {revision} that was asked for")
    return Checkpoint(folder, str(origin["model"]), resolved)


def _hub_cache(model: str, revision: str | None) -> Path | None:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError:
        return None
    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None
