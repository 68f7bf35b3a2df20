"""A key is the content and the contract; an entry is the vector it was written for, or a miss."""

from __future__ import annotations

import numpy as np
import pytest

from encoders import EncoderInput, normalise
from encoders.cache import RecentVectors, cache_key
from encoders.cache.entries import pack, unpack
from encoders.cache.recent import ENTRY_BYTES

KEY = b"k" * 32
VECTOR = normalise(np.arange(1.0, 9.0))


def test_same_content_same_key() -> None:
    first = cache_key(EncoderInput(text="a dog", image=b"bytes"), "query", "f")
    assert first == cache_key(EncoderInput(text="a dog", image=b"bytes"), "query", "f")
    assert len(first) == 32


def test_whatever_can_change_the_vector_changes_the_key() -> None:
    keys = {
        cache_key(EncoderInput(text="ab"), "query", "f"),
        cache_key(EncoderInput(text="ab"), "document", "f"),
        cache_key(EncoderInput(text="ab"), "query", "g"),
        cache_key(EncoderInput(text="AB"), "query", "f"),
        cache_key(EncoderInput(image=b"ab"), "query", "f"),
        cache_key(EncoderInput(text="a", image=b"b"), "query", "f"),
        cache_key(EncoderInput(text="ab", image=b""), "query", "f"),
        cache_key(EncoderInput(text="", image=b"ab"), "query", "f"),
        cache_key(EncoderInput(text="a-", image=b"b"), "query", "f"),
        cache_key(EncoderInput(text="\ud800"), "query", "f"),
    }
    assert len(keys) == 10


def test_an_entry_comes_back_exactly() -> None:
    found = unpack(KEY, pack(KEY, VECTOR), 8)
    assert found is not None
    assert np.array_equal(found, VECTOR)
    assert found.dtype == np.float32
    assert not found.flags.writeable


@pytest.mark.parametrize("position", [0, 4, 20, 35])
def test_a_flipped_bit_is_a_miss(position: int) -> None:
    data = bytearray(pack(KEY, VECTOR))
    data[position] ^= 1
    assert unpack(KEY, bytes(data), 8) is None


def test_another_keys_entry_or_size_is_a_miss() -> None:
    assert unpack(b"x" * 32, pack(KEY, VECTOR), 8) is None
    assert unpack(KEY, pack(KEY, VECTOR), 16) is None
    assert unpack(KEY, pack(KEY, VECTOR)[:-1], 8) is None
    assert unpack(KEY, None, 8) is None
    assert unpack(KEY, "text", 8) is None


def test_recent_vectors_put_out_the_one_used_longest_ago() -> None:
    recent = RecentVectors(3 * (VECTOR.nbytes + ENTRY_BYTES))
    for key in (b"a", b"b", b"c"):
        recent.put(key, VECTOR)
    assert recent.get(b"a") is not None
    recent.put(b"d", VECTOR)
    assert [recent.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


def test_a_recent_vector_put_again_takes_no_more_room() -> None:
    recent = RecentVectors(2 * (VECTOR.nbytes + ENTRY_BYTES))
    recent.put(b"a", VECTOR)
    for _ in range(5):
        recent.put(b"b", VECTOR)
    assert len(recent) == 2
