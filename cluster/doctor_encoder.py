"""`crossray doctor --encoder`: does this encoder, on this machine, still give the vectors it once gave?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cluster.errors import ClusterError
from cluster.model_settings import require_checkpoint
from cluster.settings import Settings
from encoders.golden import Golden, GoldenReport, check, load_golden, record, save_golden
from encoders.registry import load_encoder

GOLDEN_FOLDER = "golden"
"""Under the data folder: the cache folder may be deleted, and then the next recording would call anything right."""


@dataclass(frozen=True, slots=True)
class EncoderCheck:
    """What was compared with what. Vectors `recorded now` are no comparison with the past, only for later ones."""

    encoder: str
    source: Literal["shipped", "recorded earlier", "recorded now"]
    report: GoldenReport

    def to_json(self) -> dict[str, Any]:
        report = self.report
        inputs = {
            name: {"cosine": cosine, "nearest_other": report.nearest_other[name]}
            for name, cosine in report.cosines.items()
        }
        return {
            "ok": report.ok,
            "encoder": self.encoder,
            "fingerprint": report.fingerprint,
            "golden": self.source,
            "differing": list(report.differing),
            "inputs": inputs,
        }


def examine_encoder(settings: Settings, name: str) -> EncoderCheck:
    """Loads the encoder and compares it with its golden vectors, which are recorded where there are none yet.

    Raises ClusterError for a file that holds no golden vectors or an encoder without its checkpoint, and what loading
    an encoder raises.
    """
    options = settings.options_of(name)
    require_checkpoint(name, options, "encoder.options.model")
    encoder = load_encoder(name, **options)
    try:
        folder = settings.data_dir / GOLDEN_FOLDER
        source, golden = _find(encoder.info.contract.fingerprint, folder)
        if golden is None:
            golden = record(encoder)
            save_golden(golden, folder)
        return EncoderCheck(name, source, check(encoder, golden))
    except ValueError as error:
        raise ClusterError(f"{error}: delete the file, and the vectors are recorded anew") from error
    finally:
        encoder.close()


def _find(
    fingerprint: str, folder: Path
) -> tuple[Literal["shipped", "recorded earlier", "recorded now"], Golden | None]:
    if (shipped := load_golden(fingerprint)) is not None:
        return "shipped", shipped
    if (recorded := load_golden(fingerprint, folder)) is not None:
        return "recorded earlier", recorded
    return "recorded now", None
