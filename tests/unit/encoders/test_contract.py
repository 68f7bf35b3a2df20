"""The vector contract and the small functions of the encoder contract."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from encoders import ContractMismatch, EncoderInput, InputError, VectorContract, normalise, truncate

CONTRACT = VectorContract(
    model="m", revision="r", dim=4, pooling="mean", template="", pixels="1x1", preprocessing=1, precision="fp32"
)


def test_the_fingerprint_is_the_one_that_indexes_on_disk_carry() -> None:
    assert CONTRACT.fingerprint == "fa2cce8a3ab3dfe7"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(VectorContract)])
def test_any_field_changes_it(field: str) -> None:
    value = getattr(CONTRACT, field)
    other = dataclasses.replace(CONTRACT, **{field: value + 1 if isinstance(value, int) else value + "x"})
    assert other.fingerprint != CONTRACT.fingerprint
    with pytest.raises(ContractMismatch) as caught:
        CONTRACT.require(other)
    error = pickle.loads(pickle.dumps(caught.value))
    assert [name for name, _, _ in error.fields] == [field]
    assert field in str(error)


def test_json_and_back() -> None:
    assert VectorContract.from_json(CONTRACT.to_json()) == CONTRACT
    CONTRACT.require(VectorContract.from_json(CONTRACT.to_json()))


def test_modality_is_explicit() -> None:
    assert EncoderInput(text="https://example.org/a.jpg").modality == "text"
    assert EncoderInput(image=b"").modality == "image"
    assert EncoderInput(text="", image=b"").modality == "image_text"
    with pytest.raises(InputError) as caught:
        _ = EncoderInput().modality
    assert pickle.loads(pickle.dumps(caught.value)).code == "empty_input"


def test_normalise_keeps_zero_rows_zero() -> None:
    rows = normalise(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.dtype == np.float32
    assert rows == pytest.approx(np.array([[0.6, 0.8], [0.0, 0.0]]))


def test_truncate_renormalises() -> None:
    rows = normalise(np.array([[1.0, 2.0, 2.0]]))
    assert truncate(rows, 3) is rows
    assert np.linalg.norm(truncate(rows, 2), axis=1) == pytest.approx(1.0)
