"""Chat text to token ids and rotary positions.

Runs in the preparer's processes: it needs `tokenizers` and `jinja2`, and neither torch nor transformers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.checkpoints import Checkpoint
from encoders.errors import ModelUnavailable
from encoders.extras import require

Message: TypeAlias = dict[str, Any]

IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 a token of the vocabulary, not a secret

DEFAULT_CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% for part in message.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}
"""
"""For a checkpoint that ships none: what the published ones render for a text and an image."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """`ids` is `(length,)` int64. `positions` is `(3, length)` int64: temporal, row and column index (M-RoPE)."""

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]


class ChatTokenizer:
    """The checkpoint's chat template and tokenizer. Pickles; threads may share it."""

    def __init__(self, tokenizer: Any, template: str) -> None:
        self._tokenizer = tokenizer
        self.template = template
        self.image_id = self.token_id(IMAGE_TOKEN)
        added = tokenizer.get_added_tokens_decoder().values()
        self._special = tuple(sorted((str(token.content) for token in added), key=len, reverse=True))

    @classmethod
    def load(cls, checkpoint: Checkpoint) -> ChatTokenizer:
        """Raises ModelUnavailable when the checkpoint has no tokenizer.json, or a template that forces thinking."""
        path = checkpoint.folder / "tokenizer.json"
        if not path.is_file():
            raise ModelUnavailable(f"{checkpoint.folder} has no tokenizer.json")
        tokenizer = require("tokenizers", "qwen").Tokenizer.from_file(str(path))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        chat = cls(tokenizer, _read_template(checkpoint))
        probe = chat.render([{"role": "user", "content": [{"type": "text", "text": "x"}]}], generation_prompt=True)
        if probe.rstrip().endswith("<think>"):
            raise ModelUnavailable(
                f"{checkpoint.model} is a Thinking checkpoint: its template opens a chain of thought"
            )
        return chat

    def token_id(self, token: str) -> int:
        """Raises ModelUnavailable for a token that the vocabulary does not have."""
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelUnavailable(f"the tokenizer has no token {token!r}: this is not a Qwen3-VL tokenizer")
        return int(found)

    def plain(self, text: str) -> str:
        """`text` with the names of special tokens broken by a space.

        Otherwise a caption that quotes `<|image_pad|>` would claim an image that is not there, and `<|im_end|>` would
        end the message early.
        """
        for token in self._special:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def render(self, messages: Sequence[Message], generation_prompt: bool) -> str:
        return str(_compile(self.template).render(messages=list(messages), add_generation_prompt=generation_prompt))

    def encode(self, rendered: str) -> list[int]:
        """The ids of a text that was rendered already; names of special tokens in it are those tokens."""
        return [int(id) for id in self._tokenizer.encode(rendered).ids]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def ordinary_tokens(self) -> dict[int, str]:
        """The text of each token by its id, without the special ones. Half a character is shown as U+FFFD."""
        special = set(self._tokenizer.get_added_tokens_decoder())
        ids = [id for id in self._tokenizer.get_vocab().values() if id not in special]
        texts = self._tokenizer.decode_batch([[id] for id in ids], skip_special_tokens=False)
        return dict(zip(ids, texts, strict=True))

    def tokenise(
        self, messages: Sequence[Message], grids: Sequence[tuple[int, int]], generation_prompt: bool
    ) -> Tokens:
        """`grids` are the rows and columns of visual tokens of each image, in the order of the messages."""
        rendered = self.render(messages, generation_prompt)
        ids = np.asarray(self._tokenizer.encode(rendered).ids, dtype=np.int64)
        if np.count_nonzero(ids == self.image_id) != len(grids):
            raise ModelUnavailable(
                "the chat template does not show one place for each image: it is not a vision template"
            )
        return _expand(ids, self.image_id, grids)


def _expand(ids: NDArray[np.int64], image_id: int, grids: Sequence[tuple[int, int]]) -> Tokens:
    """Repeats each image token to its image's size and lays out the M-RoPE positions (Qwen2-VL, section 2.1).

    A text token advances all three indices by one. An image's tokens share one temporal index and count rows and
    columns from it; what follows starts after the longer side.
    """
    ids_out: list[NDArray[np.int64]] = []
    positions: list[NDArray[np.int64]] = []
    start = step = 0
    for place, (rows, columns) in zip(np.flatnonzero(ids == image_id).tolist(), grids, strict=True):
        ids_out.append(ids[start:place])
        positions.append(_text_positions(step, place - start))
        step += place - start
        row, column = np.divmod(np.arange(rows * columns, dtype=np.int64), columns)
        ids_out.append(np.full(rows * columns, image_id, dtype=np.int64))
        positions.append(np.stack([np.zeros_like(row), row, column]) + step)
        step += max(rows, columns)
        start = place + 1
    ids_out.append(ids[start:])
    positions.append(_text_positions(step, len(ids) - start))
    return Tokens(np.concatenate(ids_out), np.concatenate(positions, axis=1))


def _text_positions(first: int, length: int) -> NDArray[np.int64]:
    return np.tile(np.arange(first, first + length, dtype=np.int64), (3, 1))


def _read_template(checkpoint: Checkpoint) -> str:
    for name in ("chat_template.jinja", "chat_template.json", "tokenizer_config.json"):
        path = checkpoint.folder / name
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        template = text if name.endswith(".jinja") else json.loads(text).get("chat_template")
        if isinstance(template, str) and IMAGE_TOKEN in template:
            return template
    return DEFAULT_CHAT_TEMPLATE


@lru_cache(maxsize=8)
def _compile(template: str) -> Any:
    jinja2 = require("jinja2", "qwen")
    sandbox = require("jinja2.sandbox", "qwen")

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    # The whitespace rules under which checkpoints' templates are written.
    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template)
