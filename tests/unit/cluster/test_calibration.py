"""`crossray calibrate`: what is learnt of an encoder whose matches are known, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cluster.calibration.data import CaptionedVectors
from cluster.calibration.fit import first_hits, fit
from cluster.calibration.measure import called_nothing, measure, reliability
from cluster.cli import build_app
from cluster.errors import BadDataset
from deployments.calibration import CalibrationFile, MatchCalibration
from encoders.base import Vectors, normalise
from encoders.fake import FakeEncoder

DIM = 32


def made_up(photos: int, noise: float, seed: int) -> CaptionedVectors:
    """Photos in half of the dimensions, and two captions of each: itself and noise."""
    random = np.random.default_rng(seed)
    rows = np.zeros((photos, DIM), dtype=np.float32)
    rows[:, : DIM // 2] = random.standard_normal((photos, DIM // 2)) + 1
    rows = normalise(rows)
    owner = np.repeat(np.arange(photos), 2)
    captions = rows[owner]
    captions[:, : DIM // 2] += noise * random.standard_normal((2 * photos, DIM // 2)).astype(np.float32)
    language = np.array(["en", "zh"] * photos)
    return CaptionedVectors(rows, normalise(captions), owner, language)


def elsewhere(count: int) -> Vectors:
    """Texts in the other dimensions."""
    rows = np.zeros((count, DIM), dtype=np.float32)
    rows[:, DIM // 2 :] = np.random.default_rng(9).standard_normal((count, DIM // 2))
    return normalise(rows)


def test_probabilities_hold_on_photos_that_were_not_fitted_on() -> None:
    fitted_on, tested_on = made_up(300, 0.25, 1).halves()
    fitted = fit(fitted_on, "space")
    report = measure(fitted, tested_on)
    for found in (report.first_hits, report.best_hit, report.pairs):
        assert found.auroc is not None
        assert found.auroc > 0.7
        assert found.ece < 0.1
        assert sum(one.count for one in found.bins) == found.count
    assert report.nothing_relevant < 0.12
    assert np.mean(called_nothing(fitted, elsewhere(50), tested_on.photos)) > 0.9
    assert fitted.languages == ("en", "zh")
    read = MatchCalibration.from_json(fitted.to_json())
    assert (read.hits, read.pair, read.photos) == (fitted.hits, fitted.pair, fitted.photos)


def test_halves_share_no_photo_and_keep_captions_with_theirs() -> None:
    data = made_up(61, 0.2, 2)
    one, other = data.halves()
    assert len(one.photos) + len(other.photos) == 61
    assert not {row.tobytes() for row in one.photos} & {row.tobytes() for row in other.photos}
    for half in (one, other):
        assert len(half.captions) == 2 * len(half.photos)
        own = (half.captions * half.photos[half.owner]).sum(axis=1)
        assert own.min() > 0.5
    assert set(one.of_language("zh").language) == {"zh"}


def test_captions_that_say_nothing_are_refused() -> None:
    data = made_up(80, 0.2, 3)
    lost = CaptionedVectors(data.photos, elsewhere(160), data.owner, data.language)
    assert not first_hits(lost).right[:, 0].all()
    away = CaptionedVectors(data.photos, -data.photos[data.owner], data.owner, data.language)
    with pytest.raises(BadDataset):
        fit(away, "space")


def test_the_calibration_error_of_known_predictions() -> None:
    right = np.array([True] * 9 + [False])
    assert reliability(np.full(10, 0.9), right).ece == pytest.approx(0)
    sure = reliability(np.full(10, 1.0), right)
    assert (sure.ece, sure.auroc) == (pytest.approx(0.1), pytest.approx(0.5))
    assert reliability(np.ones(3), np.ones(3, dtype=bool)).auroc is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eighty photos of two colours each, and captions that name them."""
    colours = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "brown", "cyan", "grey")
    pairs = [(a, b) for a in colours for b in colours if a != b][:80]
    lines = []
    for a, b in pairs:
        image = Image.new("RGB", (32, 32), a)
        image.paste(b, (0, 0, 32, 12))
        image.save(tmp_path / f"{a}-{b}.png")
        lines.append(json.dumps({"image": f"{a}-{b}.png", "en": [f"a {a} wall under a {b} sky", f"{a}, {a} and {b}"]}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "absent.txt").write_text("quarterly revenue\n\ncircuit diagram\n", encoding="utf-8")
    return tmp_path


def test_the_command_writes_what_a_server_reads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(folder / "data"))
    arguments = ["calibrate", str(folder), "--encoder", "fake", "--absent", str(folder / "absent.txt")]
    answer = CliRunner().invoke(build_app(), [*arguments, "--json", "--html", str(folder / "report.html")])
    assert answer.exit_code == 0, answer.stderr
    said = json.loads(answer.stdout)
    fingerprint = FakeEncoder().info.contract.fingerprint
    assert (said["photos"], said["fingerprint"], said["absent"]["count"]) == (80, fingerprint, 2)
    assert said["test"]["all"]["pairs"]["auroc"] > 0.8
    assert said["test"].keys() == {"all", "en"}
    found = CalibrationFile(folder / "data" / "calibration", fingerprint).current()
    assert found is not None
    assert found.photos == 80, "all of them, not the half that was reported of"
    assert "AUROC" in (folder / "report.html").read_text(encoding="utf-8")
    shown = CliRunner().invoke(build_app(), arguments)
    assert "the 2 texts without an answer" in shown.stdout


def test_too_few_photos_write_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_DATA_DIR", str(folder / "data"))
    with pytest.raises(BadDataset, match="it takes 60"):
        CliRunner().invoke(
            build_app(), ["calibrate", str(folder), "--encoder", "fake", "--limit", "20"], catch_exceptions=False
        )
    assert not (folder / "data").exists()
