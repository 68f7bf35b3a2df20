"""Golden vectors as JSON files, one a fingerprint: those that come with Crossray, and those recorded on a machine."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from encoders.contract import VectorContract
from encoders.golden.check import Golden

SHIPPED = Path(__file__).parent / "vectors"


def load_golden(fingerprint: str, folder: Path = SHIPPED) -> Golden | None:
    """What is kept for a contract, None where nothing is. Raises ValueError for a file that is not one of these."""
    path = folder / f"{fingerprint}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        contract = VectorContract(**content["contract"])
        vectors = {
            name: np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2").astype(np.float32)
            for name, text in content["vectors"].items()
        }
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} holds no golden vectors: {error}") from error
    if contract.fingerprint != fingerprint or any(vector.shape != (contract.dim,) for vector in vectors.values()):
        raise ValueError(f"{path} holds golden vectors of another contract or size")
    return Golden(contract, vectors)


def save_golden(golden: Golden, folder: Path) -> Path:
    """Writes `<fingerprint>.json`, whole or not at all: the contract, and each vector as base64 of float16."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{golden.contract.fingerprint}.json"
    vectors = {name: base64.b64encode(v.astype("<f2").tobytes()).decode() for name, v in golden.vectors.items()}
    content = {"contract": asdict(golden.contract), "vectors": vectors}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)
    return path
