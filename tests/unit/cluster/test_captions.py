"""Reading captions.jsonl: every fault names its line or its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.errors import BadDataset
from cluster.evaluation.captions import languages_of, load_captions

GOOD = '{"image": "a.jpg", "en": ["a dog", "an animal"], "zh": ["一只狗"]}\n'


def dataset(folder: Path, lines: str, *files: str) -> Path:
    (folder / "captions.jsonl").write_text(lines, encoding="utf-8")
    for name in files:
        (folder / name).write_bytes(b"image")
    return folder


def test_photos_and_their_captions(tmp_path: Path) -> None:
    folder = dataset(tmp_path, GOOD + '\n{"image": "b.jpg", "zh": []}\n', "a.jpg", "b.jpg")
    first, second = load_captions(folder)
    assert (first.name, first.path) == ("a.jpg", folder / "a.jpg")
    assert first.captions == {"en": ("a dog", "an animal"), "zh": ("一只狗",)}
    assert second.captions == {"zh": ()}
    assert languages_of([first, second]) == ["en", "zh"]


def test_a_limit_reads_no_further(tmp_path: Path) -> None:
    folder = dataset(tmp_path, GOOD + "not JSON\n", "a.jpg")
    assert [image.name for image in load_captions(folder, limit=1)] == ["a.jpg"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2: expected an object"),
        ('{"en": ["x"]}', "line 2: expected an object"),
        ('{"image": "b.jpg", "en": "x"}', "line 2: 'en' is not a list"),
        ('{"image": "b.jpg", "en": [" "]}', "line 2: 'en' is not a list"),
        ('{"image": "b.jpg", "caption": ["x"]}', "line 2: unknown key 'caption'"),
        ('{"image": "a.jpg", "en": ["x"]}', "line 2: a.jpg is on line 1 already"),
        ('{"image": "../b.jpg", "en": ["x"]}', "line 2: ../b.jpg is outside"),
        ('{"image": "b.jpg", "en": ["x"]}', "not there: b.jpg"),
    ],
)
def test_a_bad_line_says_where_and_why(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        load_captions(dataset(tmp_path, GOOD + line, "a.jpg"))


@pytest.mark.parametrize(("lines", "reason"), [("", "no photo"), ('{"image": "a.jpg"}', "no caption")])
def test_an_empty_data_set_is_refused(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        load_captions(dataset(tmp_path, lines, "a.jpg"))


def test_a_folder_without_captions_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match=r"has no captions\.jsonl"):
        load_captions(tmp_path)
