"""What every model on a device has in common: halving for want of memory, whatever a row is, and being closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders import EncoderError, Prepared
from encoders.device_model import DeviceModel
from encoders.errors import OutOfMemory


@dataclass
class Tripling:
    """Triples numbers, on a device that holds sums up to 10; a row is the number, or three columns of it."""

    row_shape: tuple[int, ...]

    def __call__(self, batch: Sequence[float]) -> NDArray[np.float32]:
        import torch

        if sum(batch) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return np.asarray([np.full(self.row_shape, 3 * number) for number in batch], dtype=np.float32)


def prepared(*numbers: float) -> list[Prepared]:
    return [Prepared(number, cost=1, modality="text") for number in numbers]


@pytest.mark.parametrize("row_shape", [(), (3,)], ids=["scores", "vectors"])
def test_a_batch_is_halved_until_it_fits(row_shape: tuple[int, ...]) -> None:
    model = DeviceModel("info", "preparer", Tripling(row_shape))
    rows = model.forward(prepared(1, 9, 4, 5, 10))
    assert rows.shape == (5, *row_shape)
    np.testing.assert_array_equal(rows.reshape(5, -1)[:, 0], [3, 27, 12, 15, 30])
    assert model.oom_splits == 3


@pytest.mark.parametrize("row_shape", [(), (3,)], ids=["scores", "vectors"])
def test_what_does_not_fit_alone_is_named_and_the_others_have_their_rows(row_shape: tuple[int, ...]) -> None:
    model = DeviceModel("info", "preparer", Tripling(row_shape))
    with pytest.raises(OutOfMemory) as caught:
        model.forward(prepared(1, 11, 2))
    assert caught.value.rows == (1,)
    np.testing.assert_array_equal(caught.value.vectors.reshape(3, -1)[:, 0], [3, 0, 6])


def test_a_closed_model_lets_its_weights_go_and_says_so() -> None:
    model = DeviceModel("info", "preparer", Tripling(()))
    model.forward(prepared(6, 6))
    model.close()
    model.close()
    with pytest.raises(EncoderError, match="closed"):
        model.forward(prepared(1))
    assert model.oom_splits == 1
