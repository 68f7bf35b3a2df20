"""What can go wrong in an encoder.

EncoderError
├── InputError         this one input cannot be embedded: the caller's to mend
├── Unstructured       a model read nothing usable out of this one query: the rules still do
├── ContractMismatch   two vector contracts differ: comparing their vectors would be silently wrong
├── ModelUnavailable   the model cannot be loaded here; the message says what to run
├── OutOfMemory        some items of a batch do not fit on the device even alone; carries the others' vectors
└── MissingExtra       a package of an optional extra is not installed; the message says which
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class EncoderError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(EncoderError):
    """One input cannot be embedded. `code` is stable for machines, `param` names the field at fault."""

    def __init__(self, message: str, code: str = "invalid_input", param: str | None = None) -> None:
        super().__init__(message, code, param)
        self.message = message
        self.code = code
        self.param = param

    def __str__(self) -> str:
        return self.message


class Unstructured(EncoderError):
    """A model read nothing usable out of one query, and would not the next time either; the message says why."""


class ContractMismatch(EncoderError):
    """Two vector contracts differ in `fields`, a tuple of `(name, expected, found)`."""

    def __init__(self, fields: tuple[tuple[str, str, str], ...]) -> None:
        super().__init__(fields)
        self.fields = fields

    def __str__(self) -> str:
        parts = ", ".join(f"{name}: expected {expected}, found {found}" for name, expected, found in self.fields)
        return f"vector contracts differ in {parts}"


class ModelUnavailable(EncoderError):
    """A model that cannot be loaded on this machine."""


class OutOfMemory(EncoderError):
    """The items `rows` of a batch do not fit on the device even alone.

    `vectors` is `(n, dim)` for the whole batch: what the other items gave, and zeros at `rows`.
    """

    def __init__(self, rows: tuple[int, ...], vectors: NDArray[np.float32]) -> None:
        super().__init__(rows, vectors)
        self.rows = rows
        self.vectors = vectors

    def __str__(self) -> str:
        which = ", ".join(str(row) for row in self.rows)
        return f"out of device memory for item {which} alone: lower max_pixels, or use a smaller precision"


class MissingExtra(EncoderError, ImportError):
    """A package that an optional extra brings is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package = package
        self.extra = extra

    def __str__(self) -> str:
        return f"the package {self.package!r} is not installed: run  pip install 'crossray[{self.extra}]'"
