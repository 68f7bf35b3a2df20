"""Out of device memory: halve the batch and go on.

A batch that does not fit says nothing about its halves. Only an item that does not fit by itself has failed, and it
fails alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.errors import OutOfMemory
from encoders.extras import require


class HalvingForward:
    """Calls `forward` on a batch, and on its halves whenever the device runs out of memory.

    `splits` counts the halvings since the start, for a metric. `row_shape` is the shape of one item's result.
    """

    def __init__(self, forward: Callable[[Sequence[Any]], NDArray[np.float32]], row_shape: tuple[int, ...]) -> None:
        self._forward = forward
        self._row_shape = row_shape
        self.splits = 0

    def __call__(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        """`(n, *row_shape)` float32 in the order of `batch`.

        Raises OutOfMemory when some items do not fit alone; it carries the rows of those that did.
        """
        results = np.zeros((len(batch), *self._row_shape), dtype=np.float32)
        failed: list[int] = []
        self._run(batch, 0, results, failed)
        if failed:
            raise OutOfMemory(tuple(failed), results)
        return results

    def _run(self, batch: Sequence[Any], start: int, results: NDArray[np.float32], failed: list[int]) -> None:
        torch = require("torch", "qwen")
        try:
            results[start : start + len(batch)] = self._forward(batch)
            return
        except torch.OutOfMemoryError:
            # The retry runs outside this block: inside, the traceback would keep the failed pass's tensors alive.
            pass
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) == 1:
            failed.append(start)
            return
        self.splits += 1
        middle = len(batch) // 2
        self._run(batch[:middle], start, results, failed)
        self._run(batch[middle:], start + middle, results, failed)
