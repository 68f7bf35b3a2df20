"""Golden vectors: kept exactly enough, and a vector that moved is named."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import ContractMismatch, EncoderInfo, Prepared, Vectors
from encoders.fake import FakeEncoder
from encoders.golden import GOLDEN_INPUTS, Golden, check, load_golden, record, save_golden
from encoders.golden.store import SHIPPED
from encoders.starter import StarterEncoder


class BentEncoder(FakeEncoder):
    """Gives images a little noise, or swaps what a batch of them gets."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self._noise = noise

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        vectors = super().forward(batch)
        for row, item in enumerate(batch):
            if item.modality == "image":
                noise = np.random.default_rng(0).standard_normal(vectors.shape[1])
                vectors[row] += (self._noise * noise / np.linalg.norm(noise)).astype(np.float32)
        return vectors


class TextOnlyEncoder(FakeEncoder):
    @property
    def info(self) -> EncoderInfo:
        return dataclasses.replace(super().info, modalities=frozenset(("text",)))


def test_the_inputs_are_the_same_everywhere() -> None:
    """The pictures' pixels and the texts: whoever changes one must record all shipped vectors anew."""
    digest = hashlib.sha256()
    for golden in GOLDEN_INPUTS:
        digest.update(f"{golden.name} {golden.role} {golden.input.text}".encode())
        if golden.input.image is not None:
            digest.update(np.asarray(Image.open(io.BytesIO(golden.input.image))).tobytes())
    assert digest.hexdigest()[:16] == "b2df90b15dbed7f5"


def test_what_was_recorded_is_found_and_fits(tmp_path: Path) -> None:
    encoder = FakeEncoder()
    save_golden(record(encoder), tmp_path)
    golden = load_golden(encoder.info.contract.fingerprint, tmp_path)
    assert golden is not None
    report = check(encoder, golden)
    assert report.ok
    assert set(report.cosines) == {golden.name for golden in GOLDEN_INPUTS}
    assert min(report.cosines.values()) > 0.999999, "float16 costs less than what is tolerated"
    assert max(report.nearest_other.values()) < 0.999, "no input passes for another"


def test_a_vector_that_moved_is_named() -> None:
    golden = record(FakeEncoder())
    assert check(BentEncoder(0.01), golden).ok, "a cosine of 0.99995"
    assert set(check(BentEncoder(0.1), golden).differing) == {"gradient", "disc", "stripes"}


def test_swapped_vectors_are_named() -> None:
    golden = record(FakeEncoder())
    swapped = dict(golden.vectors) | {"disc": golden.vectors["stripes"], "stripes": golden.vectors["disc"]}
    assert set(check(FakeEncoder(), Golden(golden.contract, swapped)).differing) == {"disc", "stripes"}


def test_a_missing_input_and_a_vector_that_is_no_number_are_named() -> None:
    golden = record(FakeEncoder())
    vectors = dict(golden.vectors) | {"disc": np.full(64, np.nan, dtype=np.float32)}
    del vectors["en-word"]
    assert set(check(FakeEncoder(), Golden(golden.contract, vectors)).differing) == {"disc", "en-word"}


def test_an_encoder_gets_what_it_takes() -> None:
    assert set(record(TextOnlyEncoder()).vectors) == {g.name for g in GOLDEN_INPUTS if g.input.image is None}


def test_another_contract_is_no_comparison() -> None:
    with pytest.raises(ContractMismatch, match="dim"):
        check(FakeEncoder(dim=32), record(FakeEncoder()))


def test_nothing_kept_is_none(tmp_path: Path) -> None:
    assert load_golden("0123456789abcdef", tmp_path) is None


@pytest.mark.parametrize("fault", ["", "[]", '{"vectors": {}}', "short", "renamed"])
def test_a_file_that_is_something_else_says_so(tmp_path: Path, fault: str) -> None:
    encoder = FakeEncoder()
    path = save_golden(record(encoder), tmp_path)
    fingerprint = encoder.info.contract.fingerprint
    content = json.loads(path.read_text())
    if fault == "short":
        content["vectors"]["disc"] = content["vectors"]["disc"][:8]
        path.write_text(json.dumps(content))
    elif fault == "renamed":
        fingerprint = "0123456789abcdef"
        path.rename(tmp_path / f"{fingerprint}.json")
    else:
        path.write_text(fault)
    with pytest.raises(ValueError, match=fingerprint):
        load_golden(fingerprint, tmp_path)


def test_the_fake_encoder_gives_its_shipped_vectors() -> None:
    encoder = FakeEncoder()
    golden = load_golden(encoder.info.contract.fingerprint)
    assert golden is not None
    assert check(encoder, golden).ok


def test_the_starter_gives_its_shipped_vectors(starter_cache: Path) -> None:
    """On whatever machine this runs: they were recorded on another one's kernels, or will have been."""
    encoder = StarterEncoder(cache_dir=starter_cache)
    golden = load_golden(encoder.info.contract.fingerprint)
    assert golden is not None, "the starter's contract changed: record its vectors with encoders.golden, into vectors/"
    report = check(encoder, golden)
    encoder.close()
    assert report.ok, report


def test_shipped_files_are_small() -> None:
    sizes = [path.stat().st_size for path in SHIPPED.glob("*.json")]
    assert len(sizes) == 2
    assert max(sizes) < 16 << 10
