#!/usr/bin/env bash
# The security scanner over what a cluster would be given: core objects, and the pods of the RayService as Deployments.
#
#   k8s/scan.sh [FOLDER …]     overlays and k8s/milvus/operator unless folders are named
#
# Needs kubectl, and checkov in its own environment (its packages do not go with ours): CHECKOV=…/bin/checkov
set -euo pipefail
cd "$(dirname "$0")/.."
folders=("$@")
[ $# -gt 0 ] || folders=(k8s/overlays/* k8s/milvus/operator)
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
for folder in "${folders[@]}"; do
  kubectl kustomize "$folder" | "${PYTHON:-python}" -m cluster.manifests.exploded >"$objects/$(basename "$folder").yaml"
done
export BC_SKIP_MAPPING=TRUE
"${CHECKOV:-checkov}" --directory "$objects" --framework kubernetes --skip-download --quiet --compact --config-file k8s/checkov.yaml
"${CHECKOV:-checkov}" --file Dockerfile --framework dockerfile --skip-download --quiet --compact --config-file k8s/checkov.yaml
