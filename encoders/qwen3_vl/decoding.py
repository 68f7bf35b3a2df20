"""Greedy decoding's engine: chunks of tokens in, the next token's logits out, over a key-value cache.

Prompts that start alike share the cache of that start, which is computed once. Rows may be at different places: each
feeds as many tokens as it has, padded on the left and masked, so that the last column is every row's own last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from encoders.extras import require


class PrefixDecoder:
    """A language model with the cache of the tokens that every prompt starts with. One thread at a time."""

    def __init__(self, model: Any, head: Any, device: str, prefix: Sequence[int]) -> None:
        """`model` is Qwen3-VL's text half, `head` its output matrix `(vocabulary, hidden)`."""
        self.model = model
        self.head = head
        self.device = device
        self.prefix = tuple(prefix)
        first = Decoding(self, rows=1, shared=None)
        first.feed([self.prefix])
        self._shared = first.states()

    def begin(self, rows: int) -> Decoding:
        """A batch whose rows have read the prefix and nothing else."""
        return Decoding(self, rows, self._shared)


class Decoding:
    """One batch on its way. Holds `rows` × (prefix + what was fed) keys and values of every layer."""

    def __init__(self, decoder: PrefixDecoder, rows: int, shared: list[tuple[Any, Any]] | None) -> None:
        torch = require("torch", "qwen")
        transformers = require("transformers", "qwen")
        self._decoder = decoder
        self._lengths = [0 if shared is None else len(decoder.prefix)] * rows
        self._mask = torch.ones((rows, self._lengths[0]), dtype=torch.long)
        spread = [(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)) for keys, values in shared or ()]
        cache: Any = transformers.DynamicCache
        self._cache = cache(spread) if spread else cache(config=decoder.model.config)

    def states(self) -> list[tuple[Any, Any]]:
        """Keys and values of each layer, `(rows, heads, length, head_dim)`."""
        return [(layer[0], layer[1]) for layer in self._cache]

    def feed(self, chunks: Sequence[Sequence[int]]) -> Any:
        """Logits `(rows, vocabulary)` float32 after each row's chunk. Those of a row with an empty chunk mean nothing.

        Text has the same position in all three axes of M-RoPE (Qwen2-VL, section 2.1), and pads have none.
        """
        torch = require("torch", "qwen")
        width = max(len(chunk) for chunk in chunks)
        ids = torch.zeros((len(chunks), width), dtype=torch.long)
        positions, fresh = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, chunk in enumerate(chunks):
            if chunk:
                start, length = width - len(chunk), self._lengths[row]
                ids[row, start:] = torch.tensor(list(chunk))
                positions[row, start:] = torch.arange(length, length + len(chunk))
                fresh[row, start:] = 1
                self._lengths[row] += len(chunk)
        self._mask = torch.cat([self._mask, fresh], dim=1)
        decoder = self._decoder
        with torch.inference_mode():
            output = decoder.model(
                input_ids=ids.to(decoder.device),
                position_ids=positions.to(decoder.device).expand(3, -1, -1),
                attention_mask=None if self._mask.all() else self._mask.to(decoder.device),
                past_key_values=self._cache,
                use_cache=True,
            )
            return (output.last_hidden_state[:, -1] @ decoder.head.T).float()
