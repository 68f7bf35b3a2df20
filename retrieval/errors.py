"""What can go wrong in an index.

RetrievalError
├── InvalidRecord      a vector or a field that may not be stored: names which record and which field
├── InvalidQuery       a query vector or top_k that cannot be searched
├── Unsupported        what this back end cannot do; the message says which can
├── InvalidFilter      a filter that does not parse; `path` says where in the tree
├── SpaceMismatch      the index was built under another vector contract
├── IndexLocked        another process owns the file
├── IndexUnavailable   the store does not answer: try again later
├── MediaUnavailable   the media store does not answer: try again later
├── IndexFault         the store refused a call that it should have taken: a bug, or a version that was not tested
├── StorageFull        the disk took no more; nothing was written
├── IncompatibleIndex  the store was written by something else, or by a newer version
└── MissingExtra       a package of an optional extra is not installed; the message says which
"""

from __future__ import annotations

import json
from typing import Any


class RetrievalError(Exception):
    """Base of everything this package raises on purpose."""


class _NamesField(Exception):
    """`param` is the field at fault."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message, param)
        self.message = message
        self.param = param

    def __str__(self) -> str:
        return self.message


class InvalidRecord(_NamesField, RetrievalError):
    """A vector or a field may not be stored."""


class InvalidQuery(_NamesField, RetrievalError):
    """A query cannot be searched."""


class Unsupported(_NamesField, RetrievalError):
    """This back end cannot do it."""


class InvalidFilter(RetrievalError):
    def __init__(self, message: str, path: str) -> None:
        super().__init__(message, path)
        self.message = message
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class SpaceMismatch(RetrievalError):
    """The index holds vectors of another contract. Both are canonical JSON, as `VectorContract.to_json` writes it."""

    def __init__(self, stored: str, given: str) -> None:
        super().__init__(stored, given)
        self.stored = stored
        self.given = given

    @property
    def fields(self) -> tuple[tuple[str, str, str], ...]:
        """`(name, stored, given)` of each field that differs; empty where one of the two is no JSON object."""
        stored, given = _object(self.stored), _object(self.given)
        if stored is None or given is None:
            return ()
        names = sorted(stored.keys() | given.keys())
        return tuple((n, str(stored.get(n)), str(given.get(n))) for n in names if stored.get(n) != given.get(n))

    def __str__(self) -> str:
        differing = ", ".join(f"{name}: {stored}, not {given}" for name, stored, given in self.fields)
        if not differing:
            return f"the index was built under the vector contract {self.stored}, not {self.given}"
        return f"the index was built under another vector contract: {differing}"


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class IndexLocked(RetrievalError):
    """Another process owns the index file."""


class IndexUnavailable(RetrievalError):
    """The store does not answer. `retry_after_s` says when it may be asked again."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class IndexFault(RetrievalError):
    """The store refused a call that it should have taken."""


class MediaUnavailable(RetrievalError):
    """The media store does not answer, or refuses us."""


class StorageFull(RetrievalError):
    """The disk took no more; nothing was written."""


class IncompatibleIndex(RetrievalError):
    """The store was written by something else, or by a newer version."""


class MissingExtra(RetrievalError, ImportError):
    """A package that an optional extra brings is not installed; or, without an extra, one that every install brings."""

    def __init__(self, package: str, extra: str = "") -> None:
        super().__init__(package, extra)
        self.package = package
        self.extra = extra

    def __str__(self) -> str:
        install = f"'crossray[{self.extra}]'" if self.extra else "crossray"
        return f"the package {self.package!r} is not installed: run  pip install {install}"
