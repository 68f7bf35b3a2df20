"""The real photographs that the scikit-image and scikit-learn wheels carry, found without importing either."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from cluster.errors import ClusterError
from cluster.indexing.rows import Row

FOLDERS = (("skimage", "data"), ("sklearn", "datasets/images"))
SUFFIXES = frozenset({".jpg", ".png"})
NOT_PHOTOS = frozenset(
    {
        "chessboard_GRAY.png",
        "chessboard_RGB.png",
        "clock_motion.png",
        "color.png",
        "horse.png",
        "logo.png",
        "phantom.png",
    }
)
"""Drawings and synthetic images beside the photographs."""


def bundled_photos() -> dict[str, Path]:
    """Photographs by file name. Raises ClusterError when a package is missing."""
    found: dict[str, Path] = {}
    for package, folder in FOLDERS:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ClusterError(f"the demo shows photos of {package}, which is missing: pip install 'crossray[demo]'")
        for path in sorted((Path(spec.origin).parent / folder).iterdir()):
            if path.suffix in SUFFIXES and path.name not in NOT_PHOTOS:
                found[path.name] = path
    return found


def as_row(path: Path) -> Row:
    """A photo under its plain name: where a package is installed says nothing to a reader."""
    return Row(path.name, image=path.read_bytes(), tags=("photo",))
