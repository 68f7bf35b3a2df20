"""Splits a batch into groups of like lengths, so that little of what the device computes is padding; and counts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLACK_TOKENS = 512
"""Padding that is cheaper than a second launch of the model."""
SLACK_SHARE = 0.1


@dataclass(slots=True)
class TokenCount:
    """What a model has computed since it was loaded."""

    tokens: int = 0
    """Of inputs, in the unit of `Prepared.cost`."""
    padding: int = 0
    """Tokens beside them that only made rows as long as the longest of their group."""

    def add(self, lengths: Sequence[int]) -> None:
        """A group of rows that went through the model together."""
        self.tokens += sum(lengths)
        self.padding += max(lengths) * len(lengths) - sum(lengths)


def length_groups(lengths: Sequence[int], slack_tokens: int = SLACK_TOKENS) -> list[list[int]]:
    """Rows of a batch in groups, shortest first.

    A group is closed when one more row would bring its padding over both `slack_tokens` and a tenth of its tokens.
    """
    groups: list[list[int]] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        length = lengths[row]
        if groups:
            padded = length * (len(groups[-1]) + 1)
            wasted = padded - tokens - length
            if wasted <= max(slack_tokens, SLACK_SHARE * padded):
                groups[-1].append(row)
                tokens += length
                continue
        groups.append([row])
        tokens = length
    return groups
