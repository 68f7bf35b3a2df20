"""API keys by themselves: what is kept of them, what replicas know of them, and how often they may call."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from deployments.database import Database
from deployments.errors import BadRequest, NotFound, Unavailable
from deployments.keys.api_key import ApiKey, digest_of, generate, id_of, parse_entries
from deployments.keys.rates import Rate, RateLimits
from deployments.keys.ring import KeyRing
from deployments.keys.store import USED_GRAIN_S, KeyStore


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))


def key_of(scope: str = "read", **fields: object) -> ApiKey:
    id, text = generate()
    return ApiKey(id, scope, digest_of(text), **fields)  # type: ignore[arg-type]


def test_a_key_is_made_of_256_random_bits() -> None:
    made = [generate() for _ in range(200)]
    assert len({id for id, _ in made}) == len({text for _, text in made}) == 200
    for id, text in made:
        assert id_of(text) == id
        assert len(text.rpartition("_")[2]) == 43
    letters = set("".join(text.rpartition("_")[2] for _, text in made))
    assert len(letters) == 62


def test_nothing_of_a_key_but_its_digest_is_on_disk(store: KeyStore, tmp_path: Path) -> None:
    key, text = store.create("mine", "write")
    secret = text.rpartition("_")[2]
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key.digest.encode() in files
    assert secret.encode() not in files
    assert secret not in repr(store.all())
    assert key.fits(text)
    assert not key.fits(text[:-1] + ("a" if text[-1] != "a" else "b"))
    assert not key.fits("")
    assert not key.fits("\ud800")


def test_rotation_leaves_two_valid_keys_and_then_one(tmp_path: Path) -> None:
    clock = Clock()
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"), clock)
    old, _ = store.create("app", "write", rate_per_s=3.0)
    new, text, ending = store.rotate(old.id, overlap_s=60)
    assert (new.name, new.scope, new.rate_per_s, new.expires_at) == ("app", "write", 3.0, None)
    assert new.fits(text)
    assert ending.expires_at == clock.now + 60
    assert [key.state(clock.now + 59) for key in store.all()] == ["valid", "valid"]
    assert {key.id: key.state(clock.now + 60) for key in store.all()} == {old.id: "expired", new.id: "valid"}
    clock.now += 61
    with pytest.raises(BadRequest, match="expired: create another"):
        store.rotate(old.id, overlap_s=60)


def test_rotation_does_not_prolong_a_key(tmp_path: Path) -> None:
    clock = Clock()
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"), clock)
    old, _ = store.create("app", "read", expires_at=clock.now + 10)
    assert store.rotate(old.id, overlap_s=3600)[2].expires_at == clock.now + 10


def test_a_key_is_revoked_once_and_for_good(store: KeyStore) -> None:
    key, _ = store.create("app", "read")
    first = store.revoke(key.id)
    assert store.revoke(key.id) == first
    with pytest.raises(BadRequest, match="revoked"):
        store.rotate(key.id, overlap_s=1)
    with pytest.raises(NotFound, match="crossray keys list"):
        store.revoke("nobody")


def test_last_use_is_written_at_a_coarse_grain(store: KeyStore) -> None:
    key, _ = store.create("app", "read")
    (used,) = store.all({key.id: 5000.0})
    assert used.last_used_at == 5000.0
    (used,) = store.all({key.id: 5000.0 + USED_GRAIN_S})
    assert used.last_used_at == 5000.0
    (used,) = store.all({key.id: 5001.0 + USED_GRAIN_S})
    assert used.last_used_at == 5001.0 + USED_GRAIN_S


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ("abc", "entry 1"),
        ("ab:root:" + "0" * 64, "entry 1"),
        ("ab:read:" + "0" * 63, "entry 1"),
        ("AB:read:" + "0" * 64, "entry 1"),
        ("ab:read:" + "0" * 64 + ", ab:read:" + "1" * 64, "entry 2 has the id"),
        ("ab:read:" + "0" * 64 + ":tomorrow", "seconds since the epoch"),
        ("ab:read:" + "0" * 64 + ":٣", "seconds since the epoch"),
    ],
)
def test_entries_that_are_none_are_told_by_place(entries: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_entries(entries)
    assert "0" * 60 not in str(caught.value)


def test_an_entry_reads_as_it_was_written() -> None:
    one, other = key_of("admin", name="static"), key_of("read", name="static", expires_at=2e9)
    assert parse_entries(f"{one.entry()},\n {other.entry()}") == (one, other)
    assert parse_entries("  ") == ()


class FlakyStore:
    """Keys that cannot always be read; counts how often it is asked."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.is_gone = False
        self.hangs_s = 0.0

    def all(self, used: Mapping[str, float] | None = None) -> list[ApiKey]:
        self.asked += 1
        time.sleep(self.hangs_s)
        if self.is_gone:
            raise Unavailable("no database")
        return list(self.keys)


async def test_a_replica_asks_the_database_rarely() -> None:
    clock, key = Clock(), key_of()
    store = FlakyStore(key)
    ring = KeyRing(store, required=True, refresh_s=5, clock=clock)
    for _ in range(1000):
        assert await ring.find(key.id) == key
    assert store.asked == 1
    clock.now += 3  # past half: read beside the call
    assert await ring.find(key.id) == key
    await asyncio.sleep(0.05)
    assert store.asked == 2


async def test_a_revoked_key_is_known_within_the_bound() -> None:
    clock, key = Clock(), key_of()
    store = FlakyStore(key)
    ring = KeyRing(store, required=True, refresh_s=5, clock=clock)
    assert await ring.find(key.id) == key
    store.keys = []
    clock.now += 5.001
    assert await ring.find(key.id) is None


async def test_a_new_key_is_known_within_a_second_and_unknown_ones_ask_no_oftener() -> None:
    clock, key = Clock(), key_of()
    store = FlakyStore()
    ring = KeyRing(store, required=True, refresh_s=3600, clock=clock)
    for _ in range(100):
        assert await ring.find("nobody") is None
    assert store.asked == 1
    store.keys = [key]
    clock.now += 1.001
    assert await ring.find(key.id) == key
    assert store.asked == 2


async def test_keys_are_taken_as_they_were_while_the_database_is_gone_and_not_for_ever() -> None:
    clock, key = Clock(), key_of()
    fixed = key_of()
    store = FlakyStore(key)
    ring = KeyRing(store, [fixed], required=True, refresh_s=5, max_stale_s=60, clock=clock)
    assert await ring.find(key.id) == key
    store.is_gone = True
    for _ in range(5):
        clock.now += 10
        assert await ring.find(key.id) == key
    clock.now += 20
    with pytest.raises(Unavailable, match="cannot be checked") as caught:
        await ring.find(key.id)
    assert caught.value.code == "keys_unavailable"
    assert await ring.find(fixed.id) == fixed
    store.is_gone = False
    clock.now += 1
    assert await ring.find(key.id) == key


async def test_a_database_that_hangs_holds_up_no_known_key_for_long() -> None:
    clock, key = Clock(), key_of()
    store = FlakyStore(key)
    ring = KeyRing(store, required=True, refresh_s=5, clock=clock)
    await ring.find(key.id)
    store.hangs_s = 1.0
    clock.now += 6
    async with asyncio.timeout(0.9):
        assert await ring.find(key.id) == key


async def test_a_replica_that_never_read_the_keys_lets_nobody_in() -> None:
    store = FlakyStore()
    store.is_gone = True
    for ring in (KeyRing(store, required=True), KeyRing(store)):
        with pytest.raises(Unavailable):
            await ring.find("anybody")
    with pytest.raises(Unavailable):
        await KeyRing(store).asks_for_keys()


async def test_a_table_that_breaks_is_no_key_either(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite3") as other:
        other.execute("CREATE TABLE api_keys (id TEXT)")
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))
    with pytest.raises(Unavailable):
        await KeyRing(store).asks_for_keys()


async def test_uses_are_written_with_the_next_reading(store: KeyStore) -> None:
    clock = Clock()
    made, _ = store.create("app", "read")
    ring = KeyRing(store, required=True, refresh_s=5, clock=clock)
    found = await ring.find(made.id)
    assert found is not None
    ring.note_use(found)
    clock.now += 6
    found = await ring.find(made.id)
    assert found is not None
    assert found.last_used_at == pytest.approx(time.time(), abs=60)


def test_a_bucket_lets_in_what_it_has_and_says_when_there_is_more() -> None:
    clock = Clock()
    limits, key, other = RateLimits(Rate(2.0, burst=3), clock), key_of(), key_of()
    assert [limits.take(key) for _ in range(3)] == [None] * 3
    refused = limits.take(key)
    assert refused is not None
    assert refused.retry_after_s == pytest.approx(0.5)
    assert limits.take(other) is None, "each key has a bucket of its own"
    clock.now += 0.5
    assert limits.take(key) is None
    assert limits.take(key) is not None
    clock.now += 3600
    assert [limits.take(key) is None for _ in range(4)] == [True] * 3 + [False]


def test_what_a_large_call_cost_is_owed() -> None:
    clock = Clock()
    limits, key = RateLimits(Rate(10.0, burst=5), clock), key_of()
    assert limits.take(key) is None
    limits.charge(key, 64)
    refused = limits.take(key)
    assert refused is not None
    assert refused.retry_after_s == pytest.approx(6.0)
    clock.now += refused.retry_after_s
    assert limits.take(key) is None


def test_a_key_has_its_own_rate_or_the_settings_or_none() -> None:
    clock = Clock()
    free = RateLimits(Rate(None), clock)
    assert all(free.take(key_of()) is None for _ in range(1000))
    own = key_of(rate_per_s=1.0)
    assert [free.take(own) is None for _ in range(61)] == [True] * 60 + [False]
