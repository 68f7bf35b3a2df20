"""Fetches a checkpoint from the Hugging Face hub or from ModelScope, over HTTP, with progress and resume.

The only code of ours that reaches out to the internet, and only when called: `crossray model pull`. A file is written
beside its final name, continued where an earlier try stopped (HTTP `Range`), checked against the size and SHA-256 that
the source lists, then renamed; a folder counts as a checkpoint only once its provenance file is there.

Sources: https://huggingface.co/docs/hub/api and https://modelscope.cn/docs (repository file listing).
"""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.checkpoints import MODELSCOPE, PROVENANCE_FILE, Checkpoint, belongs, pulled_folder, write_provenance
from encoders.errors import ModelUnavailable

HUGGINGFACE_URL = "https://huggingface.co"
MODELSCOPE_URL = "https://modelscope.cn"

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull has come: of this file, and of all of them. Sizes in bytes."""

    file: str
    file_bytes: int
    file_total_bytes: int
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    path: str
    url: str
    size_bytes: int
    sha256: str | None


def pull(
    model: str,
    revision: str | None = None,
    target: str | Path | None = None,
    progress: Callable[[PullProgress], None] | None = None,
    *,
    models_dir: str | Path | None = None,
    endpoint: str | None = None,
    token: str | None = None,
) -> Checkpoint:
    """Downloads `model` at `revision` (the default branch when None) and returns where it lies.

    `target` is a folder of your choice; without it the model goes where `find_checkpoint` looks. Files already there
    and whole are kept, half ones continued. Raises ModelUnavailable when the source cannot be reached, does not have
    the model, or sends something else than it lists.
    """
    modelscope = model.startswith(MODELSCOPE)
    base = (endpoint or (MODELSCOPE_URL if modelscope else HUGGINGFACE_URL)).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise ModelUnavailable(f"{base!r} is not an http(s) endpoint")
    folder = Path(target).expanduser() if target is not None else pulled_folder(model, revision, models_dir)
    name = model.removeprefix(MODELSCOPE)
    list_files = _list_modelscope if modelscope else _list_huggingface
    resolved, files = list_files(base, name, revision, token)
    if not any(file.path == "config.json" for file in files):
        raise ModelUnavailable(f"{model} has no config.json: it is not a transformers checkpoint")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROVENANCE_FILE).unlink(missing_ok=True)
    total, done = sum(file.size_bytes for file in files), 0
    for file in files:
        for file_bytes in _fetch(file, folder, token):
            if progress is not None:
                progress(PullProgress(file.path, file_bytes, file.size_bytes, done + file_bytes, total))
        done += file.size_bytes
    return write_provenance(Checkpoint(folder, model, resolved), asked=revision)


def _list_huggingface(base: str, name: str, revision: str | None, token: str | None) -> tuple[str, list[_RemoteFile]]:
    listing = _get_json(f"{base}/api/models/{name}/revision/{_quote(revision or 'main')}?blobs=true", token)
    commit = str(listing["sha"])
    files = [
        _RemoteFile(
            path=entry["rfilename"],
            url=f"{base}/{name}/resolve/{commit}/{_quote(entry['rfilename'])}",
            size_bytes=int(entry["size"]),
            sha256=(entry.get("lfs") or {}).get("sha256"),
        )
        for entry in listing["siblings"]
        if belongs(entry["rfilename"])
    ]
    return commit, files


def _list_modelscope(base: str, name: str, revision: str | None, token: str | None) -> tuple[str, list[_RemoteFile]]:
    branch = revision or "master"
    query = urllib.parse.urlencode({"Revision": branch, "Recursive": "true"})
    data = _get_json(f"{base}/api/v1/models/{name}/repo/files?{query}", token)["Data"]
    entries = [entry for entry in data["Files"] if entry["Type"] == "blob" and belongs(entry["Path"])]
    files = [
        _RemoteFile(
            path=entry["Path"],
            url=f"{base}/models/{name}/resolve/{_quote(branch)}/{_quote(entry['Path'])}",
            size_bytes=int(entry["Size"]),
            sha256=entry.get("Sha256") or None,
        )
        for entry in entries
    ]
    # ModelScope names branches, not commits: the digests of the files are the revision that cannot move.
    listed = "\n".join(f"{file.path} {file.sha256} {file.size_bytes}" for file in sorted(files, key=lambda f: f.path))
    return f"{branch}-{hashlib.sha256(listed.encode()).hexdigest()[:16]}", files


def _fetch(file: _RemoteFile, folder: Path, token: str | None) -> Iterator[int]:
    """Downloads one file, yielding the bytes it has so far."""
    final, partial = folder / file.path, folder / f"{file.path}.partial"
    if final.is_file() and final.stat().st_size == file.size_bytes and _matches(final, file):
        yield file.size_bytes
        return
    have = partial.stat().st_size if partial.is_file() else 0
    if have > file.size_bytes:
        have = 0
    if have < file.size_bytes or file.size_bytes == 0:
        yield from _download(file, partial, have, token)
    if partial.stat().st_size != file.size_bytes or not _matches(partial, file):
        partial.unlink()
        raise ModelUnavailable(f"{file.url} sent something else than the source lists; it was thrown away, pull again")
    partial.rename(final)
    yield file.size_bytes


def _download(file: _RemoteFile, partial: Path, have: int, token: str | None) -> Iterator[int]:
    headers = {"Range": f"bytes={have}-"} if have else {}
    with _open(file.url, token, headers) as response:
        if response.status != 206:
            have = 0
        with partial.open("ab" if have else "wb") as out:
            try:
                while chunk := response.read(_CHUNK_BYTES):
                    out.write(chunk)
                    have += len(chunk)
                    yield have
            except OSError as error:
                raise ModelUnavailable(f"{file.url} broke off at byte {have}: {error}; pull again to go on") from error
    if have < file.size_bytes:
        raise ModelUnavailable(f"{file.url} broke off at byte {have} of {file.size_bytes}; pull again to go on")


def _matches(path: Path, file: _RemoteFile) -> bool:
    if file.sha256 is None:
        return True
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def _get_json(url: str, token: str | None) -> Any:
    with _open(url, token, {}) as response:
        return json.loads(response.read())


def _open(url: str, token: str | None, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "crossray", **headers})  # noqa: S310 pull checks the scheme
    if token:
        # Unredirected: the hub sends large files from another host, which must not see the token.
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 pull checks the scheme
    except urllib.error.HTTPError as error:
        with error:
            raise ModelUnavailable(f"{url} answered {error.code} {error.reason}") from error
    except OSError as error:
        raise ModelUnavailable(
            f"{url} cannot be reached: {getattr(error, 'reason', error)}. Without a network here, pull on a machine "
            "that has one with --to, copy the folder, and give its path as the model"
        ) from error


def _quote(part: str) -> str:
    return urllib.parse.quote(part, safe="/")
