"""What the demo asks, and which answers would be right."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Photos = Mapping[str, Path]
TOP_K = 5
RIGHT_WITHIN = 3


@dataclass(frozen=True, slots=True)
class Question:
    """One search. One of `right`, names of photos or texts, must be among the first three answers."""

    kind: str
    title: str
    body: Callable[[Photos], dict[str, Any]]
    right: frozenset[str]
    picture: str | None = None
    """The photo that is asked with."""


def words(kind: str, text: str, *right: str, target: str = "image", **fields: Any) -> Question:
    """A question in words."""
    return Question(kind, text, lambda _: {"text": text, "target": target, **fields}, frozenset(right))


def photo(kind: str, name: str, *right: str, target: str) -> Question:
    """A question with a photo's bytes."""
    title = f"what is like {name}?" if target == "image" else f"which texts suit {name}?"
    return Question(
        kind, title, lambda photos: {"image": encoded(photos[name]), "target": target}, frozenset(right), name
    )


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


def mix(photos: Photos) -> dict[str, Any]:
    """Towards the astronaut's photo and a rocket in words, away from people."""
    parts = [
        {"image": encoded(photos["astronaut.png"]), "weight": 0.5},
        {"text": "a rocket on its launch pad", "weight": 1.0},
        {"text": "a portrait of a person", "weight": -0.5},
    ]
    return {"mix": parts, "target": "image"}


ON_LOCAL = (
    words("English text → image", "a tabby cat looking at the camera", "chelsea.png"),
    words("English text → image", "a motorcycle in a garage", "motorcycle_left.png", "motorcycle_right.png"),
    words("Chinese text → image", "一杯咖啡", "coffee.png"),
    words("Chinese text → image", "准备发射的火箭", "rocket.jpg"),
    words("Chinese text → image", "一座古老的寺庙", "china.jpg"),
    photo("image → image", "motorcycle_left.png", "motorcycle_right.png", target="image"),
    photo("image → text", "chelsea.png", "en/cats", "zh/cats", target="text"),
    words(
        "English text → Chinese texts, by a filter",
        "where to drink a good coffee in the morning",
        "zh/coffee",
        target="text",
        filter={"field": "lang", "op": "eq", "value": "zh"},
    ),
    words(
        "Chinese text → English texts, by a filter",
        "晚上几点有去海边的火车？",
        "en/trains",
        target="text",
        filter={"field": "lang", "op": "eq", "value": "en"},
    ),
    Question("weighted mix", "the astronaut + a rocket − a portrait", mix, frozenset({"rocket.jpg"}), "astronaut.png"),
)
ON_MILVUS = (
    words("English text → image, in Milvus Lite", "a cup of coffee on a wooden table", "coffee.png"),
    words("Chinese text → image, in Milvus Lite", "一只猫", "chelsea.png"),
)
MILVUS_PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "motorcycle_left.png",
    "rocket.jpg",
    "china.jpg",
)
