"""The fake encoder's little sense of meaning, its work and its refusals."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from encoders import EncoderInput, encode
from encoders.fake import FakeEncoder


def picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (120, 80), colour).save(out, "JPEG")
    return out.getvalue()


@pytest.mark.parametrize("dim", [16, 64, 512])
@pytest.mark.parametrize("word", ["red", "绿色"])
def test_a_colour_finds_its_picture(dim: int, word: str) -> None:
    encoder = FakeEncoder(dim=dim)
    colours = ["blue", "red", "white", "green"]
    images = encode(encoder, [EncoderInput(image=picture(colour)) for colour in colours], "document").unwrap()
    query = encode(encoder, [EncoderInput(text=f"{word} picture")], "query").unwrap()[0]
    assert colours[int((images @ query).argmax())] == {"red": "red", "绿色": "green"}[word]


def test_texts_that_share_words_are_near() -> None:
    texts = ["blue squares on the sea", "a blue square", "quarterly report of a bank"]
    rows = encode(FakeEncoder(), [EncoderInput(text=text) for text in texts], "query").unwrap()
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2


def test_vectors_are_the_same_in_every_process() -> None:
    row = encode(FakeEncoder(dim=16), [EncoderInput(text="ab")], "query").unwrap()[0]
    assert np.flatnonzero(row).tolist() == [12 + 0x9E83486D % 4]  # CRC-32 of b"ab", after the twelve colours


def test_a_mark_is_refused_and_its_neighbour_is_not() -> None:
    encoded = encode(FakeEncoder(refuse="BOOM"), [EncoderInput(text="BOOM now"), EncoderInput(text="calm")], "query")
    assert [error and error.code for error in encoded.errors] == ["refused", None]


def test_work_takes_at_least_its_time() -> None:
    encoder = FakeEncoder(work_s=0.05, work_per_item_s=0.01)
    items = [EncoderInput(text="a"), EncoderInput(text="b")]
    start = time.monotonic()
    encode(encoder, items, "query")
    assert time.monotonic() - start >= 0.07


def test_too_few_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        FakeEncoder(dim=8)
