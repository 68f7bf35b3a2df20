"""What every model on a device is beside its own forward pass: its info, its preparer, halving, and being closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from encoders.base import Prepared
from encoders.batching import TokenCount
from encoders.errors import EncoderError
from encoders.out_of_memory import HalvingForward


class ForwardPass(Protocol):
    """A model's own part: payloads that its preparer made in, one row of float32 for each out. One thread at a time."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """`(dim,)` for vectors, `()` for scores."""
        ...

    @property
    def token_count(self) -> TokenCount:
        """What it has computed so far."""
        ...

    def __call__(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """`(n, *row_shape)`, in the order of `batch`. A row does not depend on its neighbours."""
        ...


InfoT = TypeVar("InfoT")
PreparerT = TypeVar("PreparerT")
PassT = TypeVar("PassT", bound=ForwardPass)


class DeviceModel(Generic[InfoT, PreparerT, PassT]):
    """A loaded model behind the Encoder or the Reranker contract. `forward` is called by one thread at a time."""

    def __init__(self, info: InfoT, preparer: PreparerT, forward_pass: PassT) -> None:
        self._info = info
        self._preparer = preparer
        self._pass: PassT | None = forward_pass
        self._halving = HalvingForward(lambda batch: self.forward_pass(batch), forward_pass.row_shape)

    @property
    def info(self) -> InfoT:
        return self._info

    @property
    def preparer(self) -> PreparerT:
        return self._preparer

    @property
    def forward_pass(self) -> PassT:
        """The model's own part, with its weights. Raises EncoderError once it is closed."""
        if self._pass is None:
            raise EncoderError("this model is closed")
        return self._pass

    @property
    def oom_splits(self) -> int:
        """How often a batch was halved for want of device memory, since the start."""
        return self._halving.splits

    @property
    def token_count(self) -> TokenCount:
        """Since the start. Raises EncoderError once it is closed."""
        return self.forward_pass.token_count

    def forward(self, batch: Sequence[Prepared]) -> NDArray[np.float32]:
        """`(n, dim)` unit vectors of an encoder, `(n,)` scores of a reranker, float32, in the order of `batch`.

        Out of device memory, the batch is halved and goes on. Raises OutOfMemory when items do not fit even alone; it
        carries the rows of the others.
        """
        return self._halving([prepared.payload for prepared in batch])

    def close(self) -> None:
        """Frees the device. Calling it twice is fine."""
        self._pass = None
