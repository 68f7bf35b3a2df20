"""API keys where commands work on them: in the database of these settings, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cluster.errors import ClusterError
from cluster.settings import Settings

if TYPE_CHECKING:
    from deployments.keys.store import KeyStore

CREATE = "crossray keys create --name NAME --scope admin"


class NoKeys(ClusterError):
    """The API would be open to others, and nobody could call it; the text says what to do."""


@contextmanager
def open_store(settings: Settings) -> Iterator[KeyStore]:
    """The keys in the database of these settings. Raises ClusterError for what goes wrong there."""
    from deployments.database import Database
    from deployments.errors import CrossrayError
    from deployments.keys.store import KeyStore
    from retrieval.errors import StorageFull

    database = Database(settings.database.url_in(settings.data_dir))
    try:
        yield KeyStore(database)
    except (CrossrayError, StorageFull) as error:
        raise ClusterError(str(error)) from error
    finally:
        database.close()


def require_keys(settings: Settings) -> None:
    """Raises NoKeys where calls need a key under these settings, and there is none that is valid."""
    if settings.requires_keys is not True or _has_valid_key(settings):
        return
    wider = settings.auth.required is None
    why = f"http.host {settings.http.host} can be reached by others" if wider else "auth.required is on"
    back = ", or stay on this machine with CROSSRAY_HTTP__HOST=127.0.0.1" if wider else ""
    raise NoKeys(f"{why}, and there is no API key: make one with  {CREATE}{back}")


def make_first_key(settings: Settings) -> str | None:
    """A new key of scope admin, where calls need one under these settings and none is valid; else None."""
    if settings.requires_keys is not True or _has_valid_key(settings):
        return None
    with open_store(settings) as store:
        _, text = store.create("first", "admin")
    return text


def _has_valid_key(settings: Settings) -> bool:
    import time

    from deployments.keys.api_key import parse_entries

    static = settings.auth.static_keys
    keys = [*parse_entries("" if static is None else static.get_secret_value())]
    with open_store(settings) as store:
        keys += store.all()
    return any(key.state(time.time()) == "valid" for key in keys)
