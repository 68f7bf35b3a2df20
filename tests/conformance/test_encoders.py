"""One contract over every encoder: shapes, norms, order, isolation of errors, independence of a row's neighbours."""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import ContractMismatch, Encoder, EncoderInput, InputError, Role, VectorContract, Vectors, encode
from tests.conformance.encoder_factories import FACTORIES

ROLES: tuple[Role, ...] = ("query", "document")


def picture(colour: str, size: tuple[int, int] = (96, 64)) -> bytes:
    image = Image.new("RGB", size, colour)
    image.paste("black", (0, 0, size[0] // 3, size[1] // 2))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


TEXTS = (
    "a cat",
    "an astronaut in a white space suit smiles in front of a flag",
    "一只猫在睡觉",
    "沙滩上的 red umbrella",
    "1234",
    "x",
)
INPUTS = (
    *(EncoderInput(text=text) for text in TEXTS),
    EncoderInput(image=picture("red")),
    EncoderInput(image=picture("green", (300, 20))),
    EncoderInput(text="a green wall", image=picture("green")),
    EncoderInput(text="绿色的墙", image=picture("green")),
)
BAD_TEXTS = {
    "empty": "",
    "blank": " \t\n\u3000",
    "invisible": "\u200b\ufeff",
    "control": "\x00\x01",
    "surrogate": "a\ud800b",
}
BAD_IMAGES = {"no bytes": b"", "a text": b"not an image", "a cut image": picture("red")[:-30]}


@pytest.fixture(scope="module", params=FACTORIES)
def encoder(request: pytest.FixtureRequest, starter_cache: Path) -> Iterator[Encoder]:
    encoder = FACTORIES[request.param](starter_cache)
    yield encoder
    encoder.close()
    encoder.close()


def vectors(encoder: Encoder, *items: EncoderInput, role: Role = "query") -> Vectors:
    return encode(encoder, items, role).unwrap()


def cosines(left: Vectors, right: Vectors) -> list[float]:
    return [float(a @ b) for a, b in zip(left, right, strict=True)]


@pytest.mark.parametrize("role", ROLES)
def test_vectors_are_finite_unit_float32_rows(encoder: Encoder, role: Role) -> None:
    rows = vectors(encoder, *INPUTS, role=role)
    assert (rows.shape, rows.dtype) == ((len(INPUTS), encoder.info.dim), np.float32)
    assert np.isfinite(rows).all()
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_info_tells_the_truth(encoder: Encoder) -> None:
    info = encoder.info
    assert info.dim == info.contract.dim == info.dimensions[0]
    assert {item.modality for item in INPUTS} <= info.modalities
    assert info.name
    assert info.description


@pytest.mark.parametrize("role", ROLES)
def test_the_same_input_gives_the_same_vector(encoder: Encoder, role: Role) -> None:
    assert np.array_equal(vectors(encoder, *INPUTS, role=role), vectors(encoder, *INPUTS, role=role))


@pytest.mark.parametrize("role", ROLES)
def test_a_row_does_not_depend_on_its_neighbours(encoder: Encoder, role: Role) -> None:
    together = vectors(encoder, *INPUTS, role=role)
    alone = np.concatenate([vectors(encoder, item, role=role) for item in INPUTS])
    assert min(cosines(together, alone)) >= 0.9999


def test_order_is_kept(encoder: Encoder) -> None:
    forth, back = vectors(encoder, *INPUTS), vectors(encoder, *reversed(INPUTS))
    assert min(cosines(forth, back[::-1])) >= 0.9999


def test_different_inputs_give_different_vectors(encoder: Encoder) -> None:
    rows = vectors(encoder, *INPUTS)
    similar = rows @ rows.T - np.eye(len(rows), dtype=np.float32)
    assert similar.max() < 0.999


def test_a_fused_item_is_near_both_its_parts(encoder: Encoder) -> None:
    text, image = EncoderInput(text="a green wall"), EncoderInput(image=picture("green"))
    fused = vectors(encoder, EncoderInput(text=text.text, image=image.image), role="document")[0]
    parts = vectors(encoder, text, image, role="document")
    assert parts[0] @ parts[1] < min(parts @ fused)


def test_roles_share_one_space(encoder: Encoder) -> None:
    asked, kept = (vectors(encoder, *INPUTS, role=role) for role in ROLES)
    assert (kept @ asked.T).argmax(axis=1).tolist() == list(range(len(INPUTS)))


@pytest.mark.parametrize("role", ROLES)
def test_a_bad_item_fails_alone(encoder: Encoder, role: Role) -> None:
    bad = [EncoderInput(text=""), EncoderInput(image=b"not an image"), EncoderInput()]
    encoded = encode(encoder, [bad[0], INPUTS[0], bad[1], INPUTS[6], bad[2]], role)
    assert [error is None for error in encoded.errors] == [False, True, False, True, False]
    assert not encoded.vectors[[0, 2, 4]].any()
    assert min(cosines(encoded.vectors[[1, 3]], vectors(encoder, INPUTS[0], INPUTS[6], role=role))) >= 0.9999


def test_an_empty_batch_is_no_rows(encoder: Encoder) -> None:
    encoded = encode(encoder, [], "query")
    assert (encoded.vectors.shape, encoded.errors) == ((0, encoder.info.dim), ())


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_bad_texts_say_why(encoder: Encoder, name: str) -> None:
    with pytest.raises(InputError) as caught:
        vectors(encoder, EncoderInput(text=BAD_TEXTS[name]))
    assert caught.value.param == "text"
    assert caught.value.message


def test_a_text_may_have_max_text_chars_and_no_more(encoder: Encoder) -> None:
    most = ("cat " * encoder.info.max_text_chars)[: encoder.info.max_text_chars]
    assert np.isfinite(vectors(encoder, EncoderInput(text=most))).all()
    with pytest.raises(InputError) as caught:
        vectors(encoder, EncoderInput(text=most + "s"))
    assert (caught.value.code, caught.value.param) == ("text_too_long", "text")


@pytest.mark.parametrize("name", BAD_IMAGES)
@pytest.mark.parametrize("text", [None, "with a caption"])
def test_bad_images_say_why(encoder: Encoder, name: str, text: str | None) -> None:
    with pytest.raises(InputError) as caught:
        vectors(encoder, EncoderInput(text=text, image=BAD_IMAGES[name]))
    assert caught.value.param == "image"
    assert caught.value.code.startswith("image_")


def test_costs_add_up(encoder: Encoder) -> None:
    costs = [encoder.preparer(item, "query").cost for item in INPUTS]
    assert min(costs) >= 1
    assert encode(encoder, INPUTS, "query").cost == sum(costs)


def test_the_preparer_pickles_small_and_prepares_the_same(encoder: Encoder) -> None:
    pickled = pickle.dumps(encoder.preparer)
    elsewhere = pickle.loads(pickled)
    prepared = [pickle.loads(pickle.dumps(elsewhere(item, "query"))) for item in INPUTS]
    assert min(cosines(encoder.forward(prepared), vectors(encoder, *INPUTS))) >= 0.9999
    assert len(pickled) < 16 * 1024 * 1024


def test_the_contract_is_complete_and_refuses_any_other(encoder: Encoder) -> None:
    contract = encoder.info.contract
    again = VectorContract.from_json(contract.to_json())
    assert again == contract
    assert again.fingerprint == contract.fingerprint
    for field in dataclasses.fields(contract):
        value = getattr(contract, field.name)
        assert value, field.name
        other = dataclasses.replace(contract, **{field.name: value + (1 if isinstance(value, int) else "-other")})
        assert other.fingerprint != contract.fingerprint
        with pytest.raises(ContractMismatch, match=field.name):
            contract.require(other)
