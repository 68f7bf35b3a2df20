"""Options that many commands share; and the server: `--url`, then CROSSRAY_URL, then the run file, then the default.

The API key comes from CROSSRAY_API_KEY alone: what is in a command's arguments, others on the machine can read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cluster.client import Client

UrlOption = Annotated[
    str | None,
    typer.Option(help="The server's address. Without it CROSSRAY_URL, or the one that `crossray up` started."),
]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", "-p", envvar="CROSSRAY_PROFILE", help="local, milvus, …, or a YAML file's path."),
]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Which one: crossray collections list.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")]


def connect(url: str | None, *, patient: bool = False, connections: int = 32, collection: str = "default") -> Client:
    """A client of the server, for the items of a collection. A patient one waits out overload and restarts, for long
    work."""
    from cluster.client import PATIENT, Client

    return Client(
        url or running_url(),
        api_key=api_key(),
        retry=PATIENT if patient else None,
        connections=connections,
        collection=collection,
    )


def api_key() -> str | None:
    """What commands send to the server."""
    from cluster.settings import load_settings

    key = load_settings().api_key
    return None if key is None else key.get_secret_value()


def running_url() -> str:
    """Where the last `crossray up` with these settings serves, or would serve."""
    from cluster.runfile import read_runfile
    from cluster.settings import load_settings

    settings = load_settings()
    if settings.url is not None:
        return settings.url
    run = read_runfile(settings.data_dir)
    return run.url if run is not None else f"http://{settings.http.host}:{settings.http.port}"
