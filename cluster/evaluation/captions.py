"""Captioned photos: a folder with `captions.jsonl`, one object a line.

    {"image": "images/x.jpg", "en": ["A dog runs .", …], "zh": ["一只奔跑的狗。", …]}

Every key beside `image` is a language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import BadDataset

CAPTIONS_FILE = "captions.jsonl"
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
"""A language tag as in BCP 47: en, zh, zh-Hant."""
SHOWN_MISSING = 3


@dataclass(frozen=True, slots=True)
class CaptionedImage:
    """One photo and its captions by language."""

    name: str
    path: Path
    captions: Mapping[str, tuple[str, ...]]


def load_captions(folder: Path, limit: int | None = None) -> list[CaptionedImage]:
    """The first `limit` photos of the folder, in the file's order. Raises BadDataset naming the line or the files."""
    file = folder / CAPTIONS_FILE
    if not file.is_file():
        raise BadDataset(f'{folder} has no {CAPTIONS_FILE}: give a folder with one, lines {{"image": …, "en": […]}}')
    images: list[CaptionedImage] = []
    seen: dict[str, int] = {}
    with file.open(encoding="utf-8-sig") as lines:
        for row, line in enumerate(lines, 1):
            if not line.strip():
                continue
            image = _parse(line, folder, f"{CAPTIONS_FILE} line {row}")
            if image.name in seen:
                raise BadDataset(f"{CAPTIONS_FILE} line {row}: {image.name} is on line {seen[image.name]} already")
            seen[image.name] = row
            images.append(image)
            if len(images) == limit:
                break
    _require_files(images)
    return images


def languages_of(images: list[CaptionedImage]) -> list[str]:
    """Every language there is a caption in, in order of appearance."""
    return list(dict.fromkeys(language for image in images for language, texts in image.captions.items() if texts))


def _parse(line: str, folder: Path, place: str) -> CaptionedImage:
    try:
        value: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadDataset(f"{place} is not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(value, dict) or not isinstance(value.get("image"), str):
        raise BadDataset(f'{place}: expected an object with "image", a path inside the folder')
    name = value.pop("image")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadDataset(f"{place}: {name} is outside the folder")
    for language, texts in value.items():
        if not LANGUAGE.fullmatch(language):
            raise BadDataset(f'{place}: unknown key {language!r}; beside "image" there are languages, such as "en"')
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise BadDataset(f"{place}: {language!r} is not a list of captions")
    return CaptionedImage(name, path, {language: tuple(texts) for language, texts in value.items()})


def _require_files(images: list[CaptionedImage]) -> None:
    if not images:
        raise BadDataset(f"{CAPTIONS_FILE} holds no photo")
    if not languages_of(images):
        raise BadDataset(f'{CAPTIONS_FILE} holds no caption: a language is a key such as "en" with a list of texts')
    missing = [image.name for image in images if not image.path.is_file()]
    if missing:
        more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
        raise BadDataset(f"{CAPTIONS_FILE} names files that are not there: {', '.join(missing[:SHOWN_MISSING])}{more}")
