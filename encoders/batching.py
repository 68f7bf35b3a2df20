"""Splits a batch into groups of like lengths, so that little of what the device computes is padding."""

from __future__ import annotations

from collections.abc import Sequence

SLACK_TOKENS = 512
"""Padding that is cheaper than a second launch of the model."""
SLACK_SHARE = 0.1


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
