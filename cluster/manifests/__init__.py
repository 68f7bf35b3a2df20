"""Kubernetes objects from the settings tree: a RayService and what depends on its size.

`python -m cluster.manifests` writes `rendered.yaml` into every overlay that has a `pods.yaml`. What is the same under
all settings lies as plain YAML in `k8s/`.
"""
