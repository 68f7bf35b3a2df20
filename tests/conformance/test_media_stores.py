"""One contract over every media store: a folder, S3, an object store and a file system behind URLs of fsspec."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import MediaUnavailable, MissingExtra
from retrieval.media import FolderMedia, MediaOptions, MediaStore, UrlMedia, media_address, open_media
from tests.s3_server import BUCKET, S3Server

DATA = b"not really a picture"
ADDRESS = hashlib.sha256(DATA).hexdigest()
NOWHERE = "f" * 64
DEADLINE_S = 10.0


def s3_media(server: S3Server, deadline_s: float = DEADLINE_S, **options: Any) -> UrlMedia:
    return UrlMedia(f"s3://{BUCKET}/some/prefix/", server.options | options, deadline_s)


@pytest.fixture(params=["folder", "s3", "memory", "file"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], MediaStore]:
    """Opens the same store again and again."""
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3")
        return lambda: s3_media(server)
    makers: dict[str, Callable[[], MediaStore]] = {
        "folder": lambda: FolderMedia(tmp_path / "media"),
        "memory": lambda: UrlMedia(f"memory://{tmp_path}", {}, DEADLINE_S),
        "file": lambda: UrlMedia(f"file://{tmp_path}/media", {}, DEADLINE_S),
    }
    return makers[request.param]


@pytest.fixture
def store(opened: Callable[[], MediaStore]) -> MediaStore:
    return opened()


def test_what_is_put_is_got(opened: Callable[[], MediaStore]) -> None:
    store = opened()
    assert store.get(ADDRESS) is None
    assert not store.exists(ADDRESS)
    assert store.put(DATA) == media_address(DATA) == ADDRESS
    assert store.put(DATA) == ADDRESS
    assert store.exists(ADDRESS)
    assert store.get(ADDRESS) == DATA
    assert opened().get(ADDRESS) == DATA
    assert not store.exists(NOWHERE)


def test_bytes_of_every_size_come_back(store: MediaStore) -> None:
    for size in (0, 1, 6 << 20):
        data = os.urandom(size)
        assert store.get(store.put(data)) == data


def test_deleting_takes_what_was_derived_along_and_nothing_else(store: MediaStore) -> None:
    other = store.put(b"another")
    store.put(DATA)
    for name in ("thumb-256.webp", "thumb-512.webp"):
        store.put_derived(ADDRESS, name, name.encode())
        assert store.get_derived(ADDRESS, name) == name.encode()
    store.delete(ADDRESS)
    store.delete(ADDRESS)
    assert store.get(ADDRESS) is None
    assert [store.get_derived(ADDRESS, name) for name in ("thumb-256.webp", "thumb-512.webp")] == [None, None]
    assert store.get(other) == b"another"


def test_what_is_derived_again_takes_the_place_of_the_old(store: MediaStore) -> None:
    store.put(DATA)
    for small in (b"one", b"two"):
        store.put_derived(ADDRESS, "thumb", small)
        assert store.get_derived(ADDRESS, "thumb") == small
    assert store.get_derived(ADDRESS, "other") is None


def test_names_are_checked_first(store: MediaStore) -> None:
    for address in ("", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 63 + "/"):
        for call in (store.get, store.exists, store.delete):
            with pytest.raises(ValueError, match="not the address"):
                call(address)
    with pytest.raises(ValueError, match="not a name"):
        store.put_derived(ADDRESS, "../x", b"")


def test_many_threads_may_write_and_read_at_once(store: MediaStore) -> None:
    files = [f"file {number % 10}".encode() for number in range(24)]
    with ThreadPoolExecutor(16) as pool:
        addresses = list(pool.map(store.put, files))
        assert list(pool.map(store.get, addresses)) == files


def test_a_file_lies_at_the_same_place_in_every_store(s3: S3Server, tmp_path: Path) -> None:
    """So that a folder may be copied into a bucket, and back, by whatever tool copies."""
    folder, far = FolderMedia(tmp_path), s3_media(s3)
    for store in (folder, far):
        store.put(DATA)
        store.put_derived(ADDRESS, "thumb", b"small")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    root = f"{BUCKET}/some/prefix/"
    assert {name.removeprefix(root) for name in far._fs.find(root)} == found


def test_an_s3_that_was_killed_is_unavailable_and_comes_back(s3: S3Server) -> None:
    store = s3_media(s3, deadline_s=5.0)
    store.put(DATA)
    s3.kill()
    for call in (
        lambda: store.put(DATA),
        lambda: store.get(ADDRESS),
        lambda: store.exists(ADDRESS),
        lambda: store.delete(ADDRESS),
    ):
        with pytest.raises(MediaUnavailable, match="s3://pictures/some/prefix"):
            call()
    s3.start()
    store.put(DATA)
    assert store.get(ADDRESS) == DATA


def test_an_s3_that_takes_the_call_and_never_answers_is_given_up(s3: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        port = silent.getsockname()[1]
        store = s3_media(s3, deadline_s=0.5, endpoint_url=f"http://127.0.0.1:{port}")
        with pytest.raises(MediaUnavailable, match=r"within 0\.5 s"):
            store.put(DATA)


def test_a_bucket_that_is_not_there_takes_nothing(s3: S3Server) -> None:
    store = UrlMedia("s3://nobodys-bucket", s3.options, DEADLINE_S)
    with pytest.raises(MediaUnavailable, match="bucket"):
        store.put(DATA)


def test_secrets_show_nowhere(s3: S3Server) -> None:
    options = MediaOptions(Path("media"), f"s3://{BUCKET}", s3.options | {"secret": "hush"})
    assert "hush" not in repr(options)
    store = open_media(options)
    assert "hush" not in repr(store)
    s3.kill()
    with pytest.raises(MediaUnavailable) as raised:
        UrlMedia(f"s3://{BUCKET}", s3.options | {"secret": "hush"}, 0.5).get(ADDRESS)
    assert "hush" not in str(raised.value)


def test_without_its_package_a_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'crossray\[s3\]'"):
        UrlMedia("s3://bucket/prefix", {}, DEADLINE_S)


def test_a_url_that_nobody_knows_is_refused_with_the_reason() -> None:
    with pytest.raises(MediaUnavailable, match="nowhere"):
        UrlMedia("nowhere://bucket", {}, DEADLINE_S)


def test_what_is_set_aside_is_still_found_until_it_is_dropped(opened: Callable[[], MediaStore]) -> None:
    store = opened()
    store.put(DATA)
    store.put_derived(ADDRESS, "thumb", b"small")
    other = store.put(b"another")
    store.set_aside(ADDRESS)
    store.set_aside(NOWHERE)
    assert store.get(ADDRESS) == DATA
    assert store.exists(ADDRESS)
    assert store.get_derived(ADDRESS, "thumb") is None
    assert list(store.aside(older_than_s=3600)) == []
    (aside,) = opened().aside(older_than_s=0)
    assert aside.address == ADDRESS
    store.bring_back(aside)
    store.bring_back(aside)
    assert list(store.aside(older_than_s=0)) == []
    store.set_aside(ADDRESS)
    (aside,) = store.aside(older_than_s=0)
    store.drop(aside)
    store.drop(aside)
    assert store.get(ADDRESS) is None
    assert not store.exists(ADDRESS)
    assert store.get(other) == b"another"


def test_what_was_looked_at_is_dropped_and_nothing_that_was_set_aside_later(store: MediaStore) -> None:
    store.put(DATA)
    store.set_aside(ADDRESS)
    (first,) = store.aside(older_than_s=0)
    store.put(DATA)
    store.set_aside(ADDRESS)
    store.drop(first)
    assert store.get(ADDRESS) == DATA


def test_a_file_says_how_old_it_is(store: MediaStore) -> None:
    assert store.age_s(ADDRESS) is None
    store.put(DATA)
    age_s = store.age_s(ADDRESS)
    assert age_s is not None
    assert -5 < age_s < 60


# In S3 a walk is 256 calls, and the memory store takes the same way.
@pytest.mark.parametrize("opened", ["folder", "memory", "file"], indirect=True)
def test_only_files_in_their_place_are_walked(store: MediaStore) -> None:
    addresses = sorted(store.put(f"file {number}".encode()) for number in range(20))
    store.put_derived(addresses[0], "thumb", b"small")
    store.set_aside(addresses[1])
    assert sorted(store.walk()) == [addresses[0], *addresses[2:]]
