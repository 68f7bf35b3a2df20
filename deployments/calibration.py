"""What captioned photos taught about an embedding space: from a cosine to the probability of a match.

`crossray calibrate` makes it and writes it into the data folder, a file a fingerprint; every ingress reads it there.
It holds for texts that look for images. `cluster/calibration` says how it is fitted.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders import Vectors
from encoders.base import Calibration, normalise

NEAREST = 10
"""Captions that say how familiar a query is."""
CHECK_S = 1.0
VERSION = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HitModel:
    """Of a hit: `sigmoid(cosine * cosine_weight + standard * standard_weight + intercept)`, where `standard` is the
    cosine in standard deviations over the mean of the collection's background (Platt, 1999, on two features)."""

    cosine_weight: float
    standard_weight: float
    intercept: float

    def probability(self, cosine: float, standard: float) -> float:
        return sigmoid(cosine * self.cosine_weight + standard * self.standard_weight + self.intercept)


@dataclass(frozen=True, slots=True, eq=False)
class MatchCalibration:
    """Fitted on `photos` photos with `captions` captions, of the space `fingerprint`.

    `pair` is for a text and an image by themselves, where a match is as likely as not. `hits` is for the first hits of
    a search among about as many photos: whether one is the very photo that the text describes.
    """

    fingerprint: str
    photos: int
    captions: int
    languages: tuple[str, ...]
    pair: Calibration
    hits: HitModel
    familiar: Vectors
    """Captions' vectors, `(m, dim)`."""
    least_familiarity: float
    """A text that is less like the captions than this asks for something else than they do."""
    least_relevance: float
    """Where the best hit has less, hardly a caption that had its photo there had as little."""

    def familiarity(self, vector: Vectors) -> float:
        """How like the captions a text is: the mean of its highest cosines with them."""
        return familiarity(self.familiar @ vector)

    def nothing(self, vector: Vectors, best: float) -> str:
        """Why nothing is likely relevant to a text whose best hit has this probability; empty where something is."""
        if (familiarity := self.familiarity(vector)) < self.least_familiarity:
            unlike = f"{familiarity:.3f}, under {self.least_familiarity:.3f}"
            return f"the text is unlike the captions that this was calibrated with ({unlike})"
        if best < self.least_relevance:
            return f"the best hit matches with probability {best:.3f}, under {self.least_relevance:.3f}"
        return ""

    def to_json(self) -> str:
        fields = asdict(self) | {
            "version": VERSION,
            "dim": self.familiar.shape[1],
            "familiar": base64.b64encode(self.familiar.astype("<f2").tobytes()).decode(),
        }
        return json.dumps(fields, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> MatchCalibration:
        """Raises ValueError for what `to_json` did not write."""
        try:
            fields: dict[str, Any] = json.loads(text)
            if (version := fields.pop("version")) != VERSION:
                raise ValueError(f"version {version}, and this Crossray reads {VERSION}")
            raw = np.frombuffer(base64.b64decode(fields.pop("familiar"), validate=True), "<f2")
            return cls(
                familiar=normalise(raw.astype(np.float32).reshape(-1, fields.pop("dim"))),
                pair=Calibration(**fields.pop("pair")),
                hits=HitModel(**fields.pop("hits")),
                languages=tuple(fields.pop("languages")),
                **fields,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a calibration: {error!r}") from error


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-min(max(x, -500.0), 500.0)))


def familiarity(cosines: Vectors) -> float:
    """The mean of the NEAREST highest of one text's cosines with captions, or of all where there are fewer."""
    nearest = min(NEAREST, len(cosines))
    return float(np.partition(cosines, len(cosines) - nearest)[-nearest:].mean())


def calibration_path(folder: Path, fingerprint: str) -> Path:
    return folder / f"{fingerprint}.json"


class CalibrationFile:
    """The calibration of one space, read again when its file has changed."""

    def __init__(self, folder: Path, fingerprint: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = calibration_path(folder, fingerprint)
        self._fingerprint = fingerprint
        self._clock = clock
        self._due = clock()
        self._stamp: tuple[int, int] | None = None
        self._held: MatchCalibration | None = None

    def current(self) -> MatchCalibration | None:
        """None where there is none, or none that can be read: then the log says why."""
        if self._clock() >= self._due:
            self._due = self._clock() + CHECK_S
            self._refresh()
        return self._held

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return
            self._stamp, self._held = stamp, None
            read = MatchCalibration.from_json(self._path.read_text(encoding="utf-8"))
            if read.fingerprint != self._fingerprint:
                raise ValueError(f"it is of the space {read.fingerprint}")
            self._held = read
        except FileNotFoundError:
            self._stamp, self._held = None, None
        except (OSError, ValueError) as error:
            log.warning("the calibration %s is not used: %s", self._path, error)
