"""`crossray keys`: who may call the API. The commands work on the database itself, and need no server."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cluster.cli.connection import JsonOption, ProfileOption
from cluster.cli.output import remark, results, with_examples, write_json

if TYPE_CHECKING:
    from cluster.settings import Settings
    from deployments.keys.api_key import ApiKey

HELP = with_examples(
    "API keys: who may call the server.",
    "crossray keys create --name laptop --scope write",
    "crossray keys list",
)
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
CREATE_HELP = with_examples(
    """Make a key. Its text goes to stdout, once: it is kept nowhere.

Scopes are read (search, embed, look at items), write (also store and delete items, jobs) and admin (also collections).
From the first key on, calls without one are refused.

With `--for-secret` the key is not stored: what is printed beside it is an entry for the setting `auth.static_keys`,
which holds no secret. A cluster gets its first key so.""",
    "export CROSSRAY_API_KEY=$(crossray keys create --name laptop --scope write)",
    "crossray keys create --name app --expires 90d --rate 20 --json",
    "crossray keys create --name first --scope admin --for-secret --json",
)
ROTATE_HELP = with_examples(
    "Make a key in place of another. Both are valid for the overlap; then the old one ends.",
    "crossray keys rotate 4f1d2c9a7b30 --overlap 7d",
    "crossray keys rotate 4f1d2c9a7b30 --overlap 0s --json | jq -r .key",
)
REVOKE_HELP = with_examples(
    "End a key: every ingress replica refuses it after `auth.refresh_s` (5 s) at the latest.",
    "crossray keys revoke 4f1d2c9a7b30",
    "crossray keys revoke 4f1d2c9a7b30 --json",
)
LIST_HELP = with_examples(
    "All keys, those that ended too, without their secrets.",
    "crossray keys list",
    "crossray keys list --json | jq '.[] | select(.state == \"valid\")'",
)


def duration_s(text: str) -> float:
    """Seconds of `90d`, `12h`, `30m` or `45s`. Raises BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time such as 90d, 12h, 30m or 45s")
    return int(found[1]) * UNITS_S[found[2]]


Id = Annotated[str, typer.Argument(help="The key's id: its middle part.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    group.command("create", help=CREATE_HELP)(create)
    group.command("list", help=LIST_HELP)(list_command)
    group.command("revoke", help=REVOKE_HELP)(revoke)
    group.command("rotate", help=ROTATE_HELP)(rotate)
    app.add_typer(group, name="keys", rich_help_panel="The cluster")


def create(
    name: Annotated[str, typer.Option(help="Whose it is, or what for.")] = "",
    scope: Annotated[Literal["read", "write", "admin"], typer.Option(help="What it is good for.")] = "read",
    expires: Annotated[str | None, typer.Option(help="After so long, such as 90d or 12h. [default: never]")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Calls a second at each ingress replica. [default: auth.rate_per_s]")
    ] = None,
    for_secret: Annotated[bool, typer.Option("--for-secret", help="Do not store it; print its entry.")] = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    expires_at = None if expires is None else time.time() + duration_s(expires)
    if len(name) > 80:
        raise typer.BadParameter("at most 80 characters", param_hint="--name")
    if for_secret:
        if rate is not None:
            raise typer.BadParameter("an entry has no rate of its own: see auth.rate_per_s", param_hint="--rate")
        _create_entry(name, scope, expires_at, as_json)
        return
    from cluster.keys import open_store

    settings = _settings(profile)
    with open_store(settings) as store:
        key, text = store.create(name, scope, expires_at=expires_at, rate_per_s=rate)
    if as_json:
        write_json(_described(key) | {"key": text})
        return
    remark(f"key {key.id} of scope {scope}, {_until(key)}: shown this once")
    typer.echo(text)
    if not settings.requires_keys:
        remark("from now on calls need a key: commands read it from CROSSRAY_API_KEY")


def _create_entry(name: str, scope: Literal["read", "write", "admin"], expires_at: float | None, as_json: bool) -> None:
    from deployments.keys.api_key import ApiKey, digest_of, generate

    id, text = generate()
    key = ApiKey(id, scope, digest_of(text), name, time.time(), expires_at)
    if as_json:
        write_json(_described(key) | {"key": text, "entry": key.entry()})
        return
    remark(f"key {id} of scope {scope}, {_until(key)}: shown this once, and stored nowhere")
    typer.echo(text)
    remark(f"its entry for auth.static_keys:  {key.entry()}")


def list_command(profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    from cluster.keys import open_store
    from deployments.keys.api_key import parse_entries

    settings = _settings(profile)
    static = settings.auth.static_keys
    with open_store(settings) as store:
        keys = [*parse_entries("" if static is None else static.get_secret_value()), *store.all()]
    if as_json:
        write_json([_described(key) for key in keys])
        return
    from rich.table import Table

    table = Table("id", "name", "scope", "state", "made", "ends", "last used", "rate")
    for key in keys:
        rate = "" if key.rate_per_s is None else f"{key.rate_per_s:g}/s"
        times = (_day(key.created_at), _day(key.expires_at), _day(key.last_used_at))
        table.add_row(key.id, key.name, key.scope, key.state(time.time()), *times, rate)
    results().print(table)


def revoke(id: Id, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    from cluster.keys import open_store

    settings = _settings(profile)
    with open_store(settings) as store:
        key = store.revoke(id)
    if as_json:
        write_json(_described(key))
    else:
        remark(f"revoked {id}: no ingress takes it after {settings.auth.refresh_s:g} s")


def rotate(
    id: Id,
    overlap: Annotated[str, typer.Option(help="How long both are valid, such as 7d or 0s.")] = "24h",
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.keys import open_store

    overlap_s = duration_s(overlap)
    with open_store(_settings(profile)) as store:
        key, text, old = store.rotate(id, overlap_s=overlap_s)
    if as_json:
        write_json(_described(key) | {"key": text, "replaces": _described(old)})
        return
    remark(f"key {key.id} of scope {key.scope} in place of {id}, which is {_until(old)}: shown this once")
    typer.echo(text)


def _settings(profile: str | None) -> Settings:
    from cluster.settings import load_settings

    return load_settings(profile)


def _described(key: ApiKey) -> dict[str, Any]:
    """A key for machines, without its digest."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope,
        "state": key.state(time.time()),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        "rate_per_s": key.rate_per_s,
    }


def _day(at: float | None) -> str:
    return "" if not at else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _until(key: ApiKey) -> str:
    return "valid until revoked" if key.expires_at is None else f"valid until {_day(key.expires_at)} UTC"
