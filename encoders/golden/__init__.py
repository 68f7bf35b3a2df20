"""Golden vectors: a small fixed set of inputs and the vectors they once got, to see that an encoder still gives them.

A contract's fingerprint says what should decide the numbers; this says whether it does: that a new driver, library or
machine, or a change of ours that forgot to raise a version, has not moved the vectors.
"""

from encoders.golden.check import Golden, GoldenReport, check, record
from encoders.golden.inputs import GOLDEN_INPUTS, GoldenInput
from encoders.golden.store import load_golden, save_golden

__all__ = [
    "GOLDEN_INPUTS",
    "Golden",
    "GoldenInput",
    "GoldenReport",
    "check",
    "load_golden",
    "record",
    "save_golden",
]
