"""The media store's contract: files named by their content, and small files derived from them."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

PREFIXES = tuple(f"{number:02x}" for number in range(256))
"""What files are spread over, in their place and aside."""


def media_address(data: bytes) -> str:
    """The name of these bytes: sha256, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Aside:
    """A file set aside. Each time has a name of its own: what was looked at is what is dropped, and no later one."""

    address: str
    at_ns: int

    @classmethod
    def now(cls, address: str) -> Aside:
        return cls(address, time.time_ns())

    @classmethod
    def of_name(cls, name: str) -> Aside | None:
        """None for what is no name of one."""
        address, _, at_ns = name.partition(".")
        return cls(address, int(at_ns)) if is_address(address) and at_ns.isdecimal() else None

    @property
    def path(self) -> str:
        """Below the store's root."""
        return f".aside/{self.address[:2]}/{self.address}.{self.at_ns}"

    @property
    def age_s(self) -> float:
        return (time.time_ns() - self.at_ns) / 1e9


class MediaStore(Protocol):
    """Where the bytes of images live. Calls block; each may come from any thread.

    Writing a file twice is writing it once, so several processes may share a store. Every method raises ValueError for
    what is not an address or a name, and MediaUnavailable where the store does not answer in time.
    """

    @property
    def is_near(self) -> bool:
        """Whether to look for a file takes less than to ask an index for a row."""
        ...

    def put(self, data: bytes) -> str:
        """Stores bytes durably and returns their address. Raises StorageFull; then nothing is left behind."""
        ...

    def exists(self, address: str) -> bool: ...

    def get(self, address: str) -> bytes | None:
        """The bytes at an address; None where there are none."""
        ...

    def delete(self, address: str) -> None:
        """Removes a file and what was derived from it. An address that is not there is fine."""
        ...

    def set_aside(self, address: str) -> None:
        """Takes a file that nothing seems to name out of its place. `get` and `exists` still find it, so that whoever
        named it meanwhile loses nothing; a later `put` writes it anew."""
        ...

    def aside(self, older_than_s: float) -> Iterator[Aside]:
        """What was set aside, and when that was long enough ago."""
        ...

    def bring_back(self, aside: Aside) -> None:
        """To its place. One that is not there any more is fine."""
        ...

    def drop(self, aside: Aside) -> None:
        """For good. One that is not there any more is fine."""
        ...

    def walk(self) -> Iterator[str]:
        """The addresses of all files that are in their place, with little memory."""
        ...

    def age_s(self, address: str) -> float | None:
        """How long ago a file in its place was written; None where there is none."""
        ...

    def put_derived(self, address: str, name: str, data: bytes) -> None:
        """Keeps something made from a file, such as a thumbnail: it can be made again, and may be gone or cut off after
        a power cut. Raises StorageFull."""
        ...

    def get_derived(self, address: str, name: str) -> bytes | None:
        """What `put_derived` kept under that name; None where there is nothing."""
        ...


def is_address(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def relative_path(address: str) -> str:
    """Where a file lies below a store's root, the same in every store: one may be copied to another as it is."""
    if not is_address(address):
        raise ValueError(f"not the address of a stored file: {address[:80]!r}")
    return f"{address[:2]}/{address}"


def derived_path(address: str, name: str) -> str:
    """As `relative_path`, for a file made from the one at the address."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise ValueError(f"not a name for a derived file: {name!r}")
    return f"{relative_path(address)}.{name}"
