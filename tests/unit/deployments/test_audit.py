"""The audit log: who changed what, in a file that a caller cannot write into otherwise."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.audit import MAX_IDS, REFUSALS_PER_S, AuditOptions, open_audit
from deployments.database import Database
from deployments.keys.ring import KeyRing
from deployments.keys.store import KeyStore
from deployments.logs import PACKAGES, ServeFile
from tests.unit.deployments.conftest import Api, Start


class Lines:
    """The audit file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text("ascii").splitlines()]

    def last(self) -> dict[str, Any]:
        return self.all()[-1]


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    path = tmp_path / "logs" / "audit.jsonl"
    open_audit(AuditOptions(True, path))
    yield Lines(path)
    open_audit(AuditOptions(False, None))


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Ids of keys by scope, and the headers that send them."""
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))
    made = {scope: store.create(scope, scope) for scope in ("read", "write", "admin")}  # type: ignore[arg-type]
    return {scope: (key.id, {"Authorization": f"Bearer {text}"}) for scope, (key, text) in made.items()}


@pytest.fixture
async def audited(start: Start, lines: Lines, keys: Any, tmp_path: Path) -> AsyncIterator[Api]:
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))
    async with start(keys=KeyRing(store, required=True)) as api:
        yield api


async def test_a_write_is_told_with_who_what_and_how(audited: Api, lines: Lines, keys: Any) -> None:
    id, headers = keys["write"]
    stored = (await audited.http.post("/v1/items", json={"text": "a cat"}, headers=headers)).json()
    line = lines.last()
    assert line["time"].endswith("+00:00")
    assert (line["key"], line["call"], line["status"], line["outcome"]) == (id, "POST /v1/items", 201, "done")
    assert (line["ids"], line["count"], line["collection"]) == ([stored["id"]], 1, "default")
    await audited.http.delete(f"/v1/items/{stored['id']}", headers=headers)
    line = lines.last()
    assert (line["call"], line["id"], line["outcome"]) == ("DELETE /v1/items/{id}", stored["id"], "done")
    await audited.http.delete("/v1/items/nothing", headers=headers)
    assert (lines.last()["outcome"], lines.last()["code"]) == ("failed", "not_found")


async def test_a_batch_is_one_line_with_the_first_ids_and_the_count(audited: Api, lines: Lines, keys: Any) -> None:
    items = [{"text": f"text {n}"} for n in range(MAX_IDS + 20)]
    await audited.http.post("/v1/items", json={"items": items}, headers=keys["write"][1])
    (line,) = lines.all()
    assert (len(line["ids"]), line["count"]) == (MAX_IDS, MAX_IDS + 20)


async def test_reads_are_not_told_and_refusals_are(audited: Api, lines: Lines, keys: Any) -> None:
    id, headers = keys["read"]
    assert (await audited.http.post("/v1/search", json={"text": "a"}, headers=headers)).status_code == 200
    assert lines.all() == []
    assert (await audited.http.post("/v1/items", json={"text": "a"}, headers=headers)).status_code == 403
    line = lines.last()
    assert (line["key"], line["outcome"], line["code"]) == (id, "refused", "insufficient_scope")
    assert (await audited.http.get("/v1/models")).status_code == 401
    line = lines.last()
    assert (line["key"], line["outcome"], line["code"]) == (None, "refused", "api_key_missing")


async def test_whose_key_was_used_after_its_end_is_told(audited: Api, lines: Lines, keys: Any, tmp_path: Path) -> None:
    id, headers = keys["write"]
    KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3")).revoke(id)
    assert (await audited.http.post("/v1/items", json={"text": "a"}, headers=headers)).status_code == 401
    assert (lines.last()["key"], lines.last()["code"]) == (id, "api_key_revoked")


async def test_no_key_is_ever_in_a_line(audited: Api, lines: Lines, keys: Any) -> None:
    for _, headers in keys.values():
        await audited.http.post("/v1/items", json={"text": "a"}, headers=headers)
        await audited.http.delete("/v1/items/x", headers={"X-API-Key": headers["Authorization"][7:] + "x"})
        await audited.http.get(f"/v1/nowhere?key={headers['Authorization'][7:]}")
    written = lines.path.read_text()
    assert written.count("\n") == 9
    for _, headers in keys.values():
        assert headers["Authorization"].rpartition("_")[2] not in written


async def test_nobody_writes_a_line_of_their_own(audited: Api, lines: Lines, keys: Any) -> None:
    forged = '\n{"time": "now", "key": "root"}\r\x1b[2J\u2028\x00'
    headers = keys["write"][1]
    await audited.http.post("/v1/items", json={"id": "a", "text": forged, "source": forged}, headers=headers)
    await audited.http.delete("/v1/items/%0A%7B%22key%22:%22root%22%7D%1B", headers=headers)
    await audited.http.get("/v1/%0A%7B%22key%22:%22root%22%7D%E2%80%A8")
    raw = lines.path.read_bytes()
    assert raw.count(b"\n") == len(lines.all()) == 3
    assert all(32 <= byte < 127 for byte in raw.replace(b"\n", b""))
    assert all(line.get("key") != "root" for line in lines.all())


async def test_many_refusals_are_counted_and_not_told(audited: Api, lines: Lines, keys: Any) -> None:
    for _ in range(10 * REFUSALS_PER_S):
        await audited.http.get("/v1/models")
    told = lines.all()
    assert len(told) < 10 * REFUSALS_PER_S
    await audited.http.post("/v1/items", json={"text": "a"}, headers=keys["write"][1])
    skipped = sum(line.get("refusals_not_told", 0) for line in lines.all())
    assert skipped + len(told) == 10 * REFUSALS_PER_S
    assert lines.last()["outcome"] == "done", "a write is told whatever goes on beside it"


async def test_without_keys_writes_are_told_too(start: Start, lines: Lines) -> None:
    async with start() as api:
        await api.add(text="a")
    line = lines.last()
    assert (line["key"], line["outcome"], line["client"]) == (None, "done", "127.0.0.1")


async def test_switched_off_it_writes_nothing(start: Start, tmp_path: Path) -> None:
    open_audit(AuditOptions(False, tmp_path / "audit.jsonl"))
    async with start() as api:
        await api.add(text="a")
    assert not (tmp_path / "audit.jsonl").exists()
    open_audit(AuditOptions(False, None))
    assert logging.getLogger("crossray.audit").handlers == []


async def test_a_line_has_the_id_that_the_caller_was_told(audited: Api, lines: Lines, keys: Any) -> None:
    answer = await audited.http.post("/v1/items", json={"text": "a"}, headers=keys["write"][1])
    assert lines.last()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, when it is imported
async def test_without_a_file_lines_go_where_the_replica_logs(start: Start) -> None:
    from ray._common.formatters import JSONFormatter

    sink = io.StringIO()
    file = logging.StreamHandler(sink)
    file.setFormatter(JSONFormatter())
    serves = logging.Logger("serves", logging.WARNING)
    serves.addHandler(file)
    packages = logging.getLogger("crossray")
    packages.addHandler(handler := ServeFile(serves, {"deployment": "Ingress", "replica": "r1"}))
    packages.setLevel(logging.WARNING)
    open_audit(AuditOptions(True, None))
    async with start() as api:
        await api.add(text="a")
    packages.removeHandler(handler)
    packages.setLevel(logging.NOTSET)
    open_audit(AuditOptions(False, None))
    (line,) = map(json.loads, sink.getvalue().splitlines())
    assert (line["replica"], line["audit"]["call"], line["audit"]["outcome"]) == ("r1", "POST /v1/items", "done")
    assert packages.name in PACKAGES
