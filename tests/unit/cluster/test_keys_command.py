"""`crossray keys`, and `crossray up` beyond loopback: on a real database, in a real process where it matters."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cluster.cli import build_app
from cluster.cli.connection import api_key
from cluster.errors import ClusterError, SettingsError
from cluster.keys import NoKeys, require_keys
from cluster.manifests.secrets import plain_settings, secret_variables
from cluster.settings import load_settings
from deployments.keys.api_key import id_of, parse_entries


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(tmp_path / "data"))


def crossray(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["keys", *arguments], catch_exceptions=False)


def answer(*arguments: str) -> Any:
    done = crossray(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_stdout_is_the_key_and_nothing_else() -> None:
    done = crossray("create", "--name", "laptop", "--scope", "write")
    text = done.stdout.strip()
    id = id_of(text)
    assert id is not None
    assert text not in done.stderr
    assert "shown this once" in done.stderr
    assert "CROSSRAY_API_KEY" in done.stderr
    (listed,) = answer("list")
    assert (listed["id"], listed["name"], listed["scope"], listed["state"]) == (id, "laptop", "write", "valid")
    assert text.rpartition("_")[2] not in crossray("list").stdout + json.dumps(listed)


def test_the_life_of_a_key() -> None:
    made = answer("create", "--scope", "admin", "--expires", "90d", "--rate", "2.5")
    assert made["expires_at"] == pytest.approx(time.time() + 90 * 86400, abs=60)
    assert made["rate_per_s"] == 2.5
    rotated = answer("rotate", made["id"], "--overlap", "1h")
    assert (rotated["scope"], rotated["rate_per_s"], rotated["expires_at"]) == ("admin", 2.5, None)
    assert rotated["replaces"]["id"] == made["id"]
    assert rotated["replaces"]["expires_at"] == pytest.approx(time.time() + 3600, abs=60)
    assert rotated["key"] != made["key"]
    assert answer("revoke", made["id"])["state"] == "revoked"
    assert {key["id"]: key["state"] for key in answer("list")} == {made["id"]: "revoked", rotated["id"]: "valid"}
    table = crossray("list").stdout
    assert made["id"] in table
    assert "2.5/s" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "--scope", "root"), "root"),
        (("create", "--expires", "soon"), "90d"),
        (("create", "--rate", "0"), "0.001"),
        (("create", "--name", "x" * 81), "80"),
        (("create", "--for-secret", "--rate", "1"), "auth.rate_per_s"),
        (("rotate", "abc", "--overlap", "1w"), "90d, 12h"),
    ],
)
def test_misuse_is_told(arguments: tuple[str, ...], says: str) -> None:
    done = crossray(*arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    assert answer("list") == []


def test_a_key_that_is_not_there_is_told() -> None:
    for command in ("revoke", "rotate"):
        with pytest.raises(ClusterError, match="there is no key 'abc': crossray keys list"):
            crossray(command, "abc")


def test_an_entry_for_a_secret_is_stored_nowhere_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = answer("create", "--name", "first", "--scope", "admin", "--for-secret")
    assert answer("list") == []
    assert made["key"] not in made["entry"]
    (key,) = parse_entries(made["entry"])
    assert key.fits(made["key"])
    monkeypatch.setenv("CROSSRAY_AUTH__STATIC_KEYS", made["entry"])
    (listed,) = answer("list")
    assert (listed["id"], listed["scope"], listed["name"]) == (made["id"], "admin", "static")


def test_entries_that_do_not_parse_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_AUTH__STATIC_KEYS", "first:admin:abc")
    with pytest.raises(SettingsError, match=r"auth.static_keys: entry 1 is not ID:SCOPE:DIGEST"):
        load_settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_nobody_listens_beyond_loopback_without_a_key(
    host: str, detach: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__HOST", host)
    monkeypatch.setattr("cluster.supervisor.require_free", lambda settings: None)  # 192.0.2.7 is no address here
    with pytest.raises(NoKeys, match=r"crossray keys create .*CROSSRAY_HTTP__HOST=127\.0\.0\.1") as caught:
        CliRunner().invoke(build_app(), ["up", *detach], catch_exceptions=False)
    assert host in str(caught.value)


def test_one_valid_key_is_enough_to_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__HOST", "0.0.0.0")
    made = answer("create")
    require_keys(load_settings())
    answer("revoke", made["id"])
    with pytest.raises(NoKeys):
        require_keys(load_settings())
    entry = answer("create", "--for-secret", "--expires", "1d")["entry"]
    monkeypatch.setenv("CROSSRAY_AUTH__STATIC_KEYS", entry)
    require_keys(load_settings())


@pytest.mark.parametrize(
    ("host", "required", "asks"),
    [
        ("127.0.0.1", None, None),
        ("localhost", None, None),
        ("::1", None, None),
        ("127.0.0.1", "false", False),
        ("127.0.0.1", "true", True),
        ("0.0.0.0", None, True),
        ("192.0.2.7", None, True),
        ("localhost.example", None, True),
    ],
)
def test_where_keys_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, host: str, required: str | None, asks: bool | None
) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__HOST", host)
    if required is not None:
        monkeypatch.setenv("CROSSRAY_AUTH__REQUIRED", required)
    assert load_settings().requires_keys is asks


def test_keys_cannot_be_switched_off_beyond_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__HOST", "0.0.0.0")
    monkeypatch.setenv("CROSSRAY_AUTH__REQUIRED", "false")
    with pytest.raises(SettingsError, match=r"auth\.required: false is for loopback"):
        load_settings()


def test_kubernetes_asks_for_keys_and_takes_the_first_from_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_API_KEY", "of the command line")
    monkeypatch.setenv("CROSSRAY_AUTH__STATIC_KEYS", answer("create", "--for-secret")["entry"])
    settings = load_settings("kubernetes")
    assert settings.requires_keys is True
    given = {variable["name"]: variable["valueFrom"]["secretKeyRef"] for variable in secret_variables(settings)}
    assert given["CROSSRAY_AUTH__STATIC_KEYS"] == {"name": "crossray", "key": "auth-static-keys"}
    assert "CROSSRAY_API_KEY" not in given, "pods call nobody"
    written = plain_settings(settings)
    assert "api_key" not in written
    assert "static_keys" not in written.get("auth", {})


def test_commands_send_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert api_key() is None
    monkeypatch.setenv("CROSSRAY_API_KEY", "crossray_a_b")
    assert api_key() == "crossray_a_b"
    assert "crossray_a_b" not in repr(load_settings())
