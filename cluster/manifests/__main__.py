"""`python -m cluster.manifests [FOLDER …] [--check]`: render overlays, or say which are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cluster.errors import ClusterError
from cluster.manifests.overlay import find_overlays, has_drifted, write


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m cluster.manifests",
        description="Render the RayService of Kubernetes overlays from the settings tree.",
        epilog="CROSSRAY_ variables stand above the profile: CROSSRAY_INDEX__URI=http://milvus.example:19530 …",
    )
    parser.add_argument("folders", nargs="*", type=Path, help="with a pods.yaml [default: all under k8s/]")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a file is out of date")
    arguments = parser.parse_args()
    folders = arguments.folders or find_overlays(Path("k8s"))
    if not folders:
        sys.exit("there is no k8s folder here: run this in the repository, or name a folder with a pods.yaml")
    try:
        if not arguments.check:
            for folder in folders:
                sys.stdout.write(f"{write(folder)}\n")
            return
        if drifted := [str(folder) for folder in folders if has_drifted(folder)]:
            sys.exit(f"out of date: {', '.join(drifted)}: run  python -m cluster.manifests")
    except (ClusterError, OSError) as error:
        sys.exit(f"{' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
