"""An overlay's folder: `pods.yaml` in, `rendered.yaml` out."""

from __future__ import annotations

from pathlib import Path

from cluster.manifests.fit import require_runnable
from cluster.manifests.objects import disruption_budgets, ray_service
from cluster.manifests.pods import load_pods
from cluster.manifests.yaml_text import to_yaml_stream
from cluster.settings import load_settings

PODS_FILE = "pods.yaml"
RENDERED_FILE = "rendered.yaml"


def find_overlays(root: Path) -> list[Path]:
    """The folders under `root` that can be rendered."""
    return sorted(path.parent for path in root.rglob(PODS_FILE))


def render(overlay: Path) -> str:
    """The text of its `rendered.yaml`, by its pods, its profile, and `CROSSRAY_` variables over both.

    Raises SettingsError.
    """
    pods = load_pods(overlay / PODS_FILE)
    settings = load_settings(pods.profile)
    require_runnable(settings, pods)
    head = f"# Rendered from {PODS_FILE} and the profile {pods.profile} by  python -m cluster.manifests : edit those.\n"
    return head + to_yaml_stream([ray_service(settings, pods), *disruption_budgets(pods)])


def has_drifted(overlay: Path) -> bool:
    """Whether its `rendered.yaml` is not what its sources give now."""
    rendered = overlay / RENDERED_FILE
    return not rendered.is_file() or rendered.read_text(encoding="utf-8") != render(overlay)


def write(overlay: Path) -> Path:
    """Renders into the folder and returns the file."""
    path = overlay / RENDERED_FILE
    path.write_text(render(overlay), encoding="utf-8")
    return path
