"""What every tab is given, and how tabs read what a person chose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from page.api import Api, as_base64
from page.words import Words

HIDDEN: dict[str, Any] = {"api_visibility": "private"}
"""For event listeners: Crossray's HTTP API is the one to call, not the page's own."""


@dataclass(frozen=True, slots=True)
class Site:
    """One language of the page. `path` is where it is served, without a slash at the end: /ui or /ui/zh."""

    api: Api
    words: Words
    path: str

    def file_url(self, path: str) -> str:
        """Where the browser finds a file that it uploaded."""
        return f"{self.path}/gradio_api/file={path}"


async def read_file(path: str | None) -> bytes | None:
    return None if path is None else await asyncio.to_thread(Path(path).read_bytes)


async def read_files(paths: Sequence[str]) -> list[bytes]:
    return [await asyncio.to_thread(Path(path).read_bytes) for path in paths]


def content_of(text: str, image: bytes | None) -> dict[str, Any]:
    """A text and/or an image as the API takes one input; empty when neither was given."""
    content: dict[str, Any] = {"text": text.strip()} if text.strip() else {}
    return content | ({} if image is None else {"image": as_base64(image)})


def split_list(given: str) -> list[str]:
    """Several as people type them: separated by commas, English or Chinese; each once."""
    parts = (part.strip() for part in given.replace("，", ",").replace("、", ",").split(","))
    return list(dict.fromkeys(part for part in parts if part))
