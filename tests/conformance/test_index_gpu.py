"""That the conformance suite runs on a GPU where there is one."""

from __future__ import annotations

import pytest
from index_records import NAMES

from retrieval.embedded.gpu import missing_for_gpu


@pytest.mark.gpu
def test_the_index_on_a_gpu_is_among_those_that_are_tested() -> None:
    if reason := missing_for_gpu():
        pytest.skip(f"the index on a GPU is not tested: {reason}")
    assert "embedded-gpu" in NAMES
