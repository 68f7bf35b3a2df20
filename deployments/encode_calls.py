"""How a process sends work to the replicas of an encoder, and how much it may hold back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EncodeCalls:
    """Calls wait at a replica only so many that its device always has a next batch: what waits longer waits in the
    caller, where the first replica that is free can have it, also one that was not there before."""

    items: int
    """Most items in a call: a batch of the encoder's."""
    interactive: int = 3
    """Calls of the interactive lane under way to each replica; all but one are whole batches."""
    bulk: int = 2
    """Likewise of the bulk lane."""
    held: int = 1024
    """Items of the interactive lane that may be held back; more are refused as Overloaded. Bulk work of any size waits
    for its turn: how much there is of it, the bounds of requests and their bodies say."""
