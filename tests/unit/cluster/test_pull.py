"""`pull` against a real HTTP server on loopback that speaks the hubs' listings: progress, resume, pinning, damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cluster.pull import PullProgress, pull
from encoders import ModelUnavailable
from encoders.checkpoints import find_checkpoint, pulled_folder

COMMIT = "c0ffee" * 6 + "c0ff"
WEIGHTS = bytes(range(256)) * 20_000
FILES = {"config.json": b'{"model_type": "qwen3_vl"}', "model.safetensors": WEIGHTS, "README.md": b"not wanted"}


class Hub(ThreadingHTTPServer):
    """Serves FILES as both hubs would, and can be told to misbehave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.cut_at: int | None = None
        self.extra_names: list[str] = []
        self.corrupt = False
        self.ranges: list[str | None] = []
        self.tokens: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.tokens.append(self.headers.get("Authorization"))
        names = [*FILES, *self.server.extra_names]
        digests = {name: hashlib.sha256(FILES.get(name, b"")).hexdigest() for name in names}
        if url.path in ("/api/models/org/model/revision/main", "/api/models/org/model/revision/v1"):
            siblings = [
                {
                    "rfilename": n,
                    "size": len(FILES.get(n, b"")),
                    "lfs": {"sha256": digests[n]} if n != "config.json" else None,
                }
                for n in names
            ]
            self.send_json({"sha": COMMIT, "siblings": siblings})
        elif url.path == "/api/v1/models/org/model/repo/files":
            assert parse_qs(url.query)["Recursive"] == ["true"]
            listed = [{"Path": n, "Type": "blob", "Size": len(FILES.get(n, b"")), "Sha256": digests[n]} for n in names]
            self.send_json({"Data": {"Files": [*listed, {"Path": "scripts", "Type": "tree", "Size": 0}]}})
        elif url.path.startswith((f"/org/model/resolve/{COMMIT}/", "/models/org/model/resolve/master/")):
            self.send_content(FILES[url.path.rsplit("/", 1)[1]])
        else:
            self.send_error(404)

    def send_json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_content(self, content: bytes) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        body = content[start:]
        if self.server.corrupt and len(content) > 1000:
            body = body[:-1] + b"!"
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.cut_at if len(content) > 1000 else None
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_pulls_and_then_finds(hub: Hub, tmp_path: Path) -> None:
    seen: list[PullProgress] = []
    pulled = pull("org/model", progress=seen.append, models_dir=tmp_path, endpoint=hub.url)
    assert (pulled.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert not (pulled.folder / "README.md").exists()
    assert pulled.revision == COMMIT
    assert find_checkpoint("org/model", models_dir=tmp_path) == pulled
    assert find_checkpoint(str(pulled.folder)) == pulled
    assert [p.done_bytes for p in seen] == sorted(p.done_bytes for p in seen)
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(FILES["config.json"]) + len(WEIGHTS)
    assert len({p.done_bytes for p in seen if p.file == "model.safetensors"}) > 2


def test_a_broken_pull_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.cut_at = 3_000_000
    with pytest.raises(ModelUnavailable, match="broke off at byte 3000000 of 5120000; pull again"):
        pull("org/model", models_dir=tmp_path, endpoint=hub.url)
    with pytest.raises(ModelUnavailable, match="crossray model pull org/model"):
        find_checkpoint("org/model", models_dir=tmp_path)
    hub.cut_at, hub.ranges = None, []
    pulled = pull("org/model", models_dir=tmp_path, endpoint=hub.url)
    assert (pulled.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.ranges == ["bytes=3000000-"]


def test_a_second_pull_downloads_nothing(hub: Hub, tmp_path: Path) -> None:
    pull("org/model", models_dir=tmp_path, endpoint=hub.url)
    hub.ranges = []
    pull("org/model", models_dir=tmp_path, endpoint=hub.url)
    assert hub.ranges == []


def test_damage_is_noticed_and_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.corrupt = True
    with pytest.raises(ModelUnavailable, match="something else than the source lists"):
        pull("org/model", target=tmp_path / "here", endpoint=hub.url)
    assert not list((tmp_path / "here").glob("model.safetensors*"))
    hub.corrupt = False
    assert pull("org/model", target=tmp_path / "here", endpoint=hub.url).folder == tmp_path / "here"


def test_modelscope_is_pinned_by_its_digests(hub: Hub, tmp_path: Path) -> None:
    pulled = pull("modelscope://org/model", models_dir=tmp_path, endpoint=hub.url)
    assert (pulled.folder / "model.safetensors").read_bytes() == WEIGHTS
    assert pulled.revision.startswith("master-")
    assert find_checkpoint("modelscope://org/model", models_dir=tmp_path) == pulled
    with pytest.raises(ModelUnavailable, match="crossray model pull org/model"):
        find_checkpoint("org/model", models_dir=tmp_path)


def test_a_listing_cannot_write_outside_the_target(hub: Hub, tmp_path: Path) -> None:
    hub.extra_names = ["../escaped.json", "/tmp/escaped.json", "deeper/escaped.json", "crossray.json", "evil.py"]
    pulled = pull("org/model", target=tmp_path / "in" / "here", endpoint=hub.url)
    assert {path.name for path in pulled.folder.iterdir()} == {"config.json", "model.safetensors", "crossray.json"}
    assert json.loads((pulled.folder / "crossray.json").read_text())["revision"] == COMMIT
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"here"}


def test_a_revision_has_its_own_folder_and_is_held_to(hub: Hub, tmp_path: Path) -> None:
    pulled = pull("org/model", "v1", models_dir=tmp_path, endpoint=hub.url, token="secret")
    assert pulled.folder == pulled_folder("org/model", "v1", tmp_path)
    assert find_checkpoint("org/model", "v1", tmp_path).revision == COMMIT
    assert set(hub.tokens) == {"Bearer secret"}
    with pytest.raises(ModelUnavailable, match="crossray model pull org/model --revision v2"):
        find_checkpoint("org/model", "v2", tmp_path)
    with pytest.raises(ModelUnavailable, match=f"holds revision {COMMIT}, not the v2"):
        find_checkpoint(str(pulled.folder), "v2")


def test_what_the_source_does_not_have_is_said(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="answered 404"):
        pull("org/other", models_dir=tmp_path, endpoint=hub.url)
    with pytest.raises(ModelUnavailable, match="not an http"):
        pull("org/model", models_dir=tmp_path, endpoint="file:///etc")
    hub.shutdown()
    hub.server_close()
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        pull("org/model", models_dir=tmp_path, endpoint=hub.url)
