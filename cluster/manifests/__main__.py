"""`python -m cluster.manifests [FOLDER …] [--check]`: render overlays, and without folders rules, dashboards and what
Ray's launcher gives its machines; or say what is out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cluster.errors import ClusterError
from cluster.manifests import launch, overlay, written
from cluster.monitoring import files as monitoring

BESIDE = {Path("k8s/components/monitoring"): monitoring.rendered, Path("cluster/launch/node"): launch.rendered}
"""Folders of what is rendered beside overlays."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m cluster.manifests",
        description="Render the RayService of Kubernetes overlays from the settings tree, and what watches a cluster.",
        epilog="CROSSRAY_ variables stand above the profile: CROSSRAY_INDEX__URI=http://milvus.example:19530 …",
    )
    parser.add_argument("folders", nargs="*", type=Path, help="with a pods.yaml [default: all under k8s/]")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where a file is out of date")
    arguments = parser.parse_args()
    folders = arguments.folders or overlay.find_overlays(Path("k8s"))
    beside = {} if arguments.folders else BESIDE
    if not folders:
        sys.exit("there is no k8s folder here: run this in the repository, or name a folder with a pods.yaml")
    try:
        if not arguments.check:
            for folder in folders:
                sys.stdout.write(f"{overlay.write(folder)}\n")
            for folder, rendered in beside.items():
                sys.stdout.writelines(f"{path}\n" for path in written.write(folder, rendered()))
            return
        drifted = [folder for folder in folders if overlay.has_drifted(folder)]
        drifted += [path for folder, rendered in beside.items() for path in written.drifted(folder, rendered())]
        if drifted:
            sys.exit(f"out of date: {', '.join(map(str, drifted))}: run  python -m cluster.manifests")
    except (ClusterError, OSError) as error:
        sys.exit(f"{' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
