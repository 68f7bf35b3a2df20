"""The whole stack with a tiny Qwen3-VL on the CPU: commands and HTTP, one data folder under two encoders, and rewriting
queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cluster.settings import PROFILES
from tests.system.clusters import Cluster, crossray, started
from tests.tiny.inputs import picture
from tests.tiny.parrot import build_parrot_qwen3_vl
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl

SAME = "Represent the user's input."
"""For both roles, so that an item asked for is exactly the item stored: random weights know no better."""
TEXTS = ("a cat on a sofa", "two dogs run on the beach", "沙发上的猫")


class Profiled(Cluster):
    """A cluster under a profile file, without the fake encoder that the other tests set."""

    @property
    def env(self) -> dict[str, str]:
        return {name: value for name, value in super().env.items() if name != "CROSSRAY_ENCODER__NAME"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    kinds = ("embedding", "instruct")
    built = {kind: build_tiny_qwen3_vl(root / f"tiny-{kind}", kind) for kind in kinds}  # type: ignore[arg-type]
    return built | {"parrot": build_parrot_qwen3_vl(root / "parrot-instruct", " a cat")}


def encoder_profile(path: Path, encoder: dict[str, Any], **sections: Any) -> Path:
    """The default profile with another encoder section, and nothing else changed but these."""
    values = yaml.safe_load((PROFILES / "local.yaml").read_text())
    path.write_text(yaml.safe_dump(values | {"encoder": encoder} | sections))
    return path


@contextmanager
def under(cluster: Profiled, profile: Path) -> Iterator[httpx.Client]:
    cluster.profile = str(profile)
    with started(cluster), cluster.http() as http:
        yield http


@pytest.mark.timeout(900)
def test_two_encoders_on_one_data_folder(tmp_path: Path, models: dict[str, Path]) -> None:
    encoder = {"name": "qwen3-vl", "prepare_in_processes": True, "prepare_workers": 1}
    embedding = encoder_profile(
        tmp_path / "embedding.yaml",
        encoder | {"options": {"model": str(models["embedding"]), "query_instruction": SAME}},
    )
    structurer = {"options": {"model": str(models["parrot"])}, "deadline_ms": 30_000, "scale": {"num_cpus": 0.1}}
    instruct = encoder_profile(
        tmp_path / "instruct.yaml",
        encoder | {"options": {"model": str(models["instruct"])}},
        queries={"structurer": structurer | {"enabled": True}},
        other_encoders=[{"name": "fake", "scale": {"num_cpus": 0.1}}],
    )
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed, size in enumerate(((64, 64), (96, 64), (64, 128))):
        (photos / f"{seed}.png").write_bytes(picture(*size, seed))
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    cluster = Profiled(tmp_path / "cluster")

    with under(cluster, embedding) as http:
        index(cluster, photos, "--texts", str(tmp_path / "texts.txt"))
        assert_each_finds_itself(http, photos)
        assert search(cluster, TEXTS[0])["hits"][0]["text"] == TEXTS[0]
        assert prepares_in_processes(cluster)
        assert_dimensions(http)
        without = http.post("/v1/search", json={"text": TEXTS[0], "rewrite": "model"})
        assert without.status_code == 400
        assert without.json()["error"]["param"] == "rewrite"
        first = http.get("/v1/models").json()["data"][0]

    with under(cluster, instruct) as http:
        second, beside = http.get("/v1/models").json()["data"]
        assert_both_are_up(http, second, beside)
        assert second["fingerprint"] != first["fingerprint"]
        refused = http.post("/v1/search", json={"text": TEXTS[0]})
        assert refused.status_code == 503, "what is stored is of an encoder that does not run"
        assert "crossray reindex" in refused.json()["error"]["message"]
        done = crossray("reindex", "--encoder", "qwen3-vl", "--json", env=cluster.env)
        assert done.returncode == 0, done.stderr
        assert http.get("/v1/models").json()["data"][0]["fingerprint"] == second["fingerprint"]
        assert_each_finds_itself(http, photos)
        stale = http.post("/v1/search", json={"text": TEXTS[0], "fingerprint": first["fingerprint"]})
        assert stale.status_code == 409
        assert_rewrites_by_the_model(http)
        assert search(cluster, "--image", str(photos / "1.png"))["hits"][0]["source"].endswith("1.png")
        assert http.get("/health/ready").json()["count"] == 6


def assert_both_are_up(http: httpx.Client, *models: dict[str, Any]) -> None:
    """Each encoder makes its own vectors, under its own contract."""
    assert [model["id"] for model in models] == ["qwen3-vl", "fake"]
    for model in models:
        answer = http.post("/v1/embeddings", json={"input": TEXTS[0], "model": model["id"]})
        assert len(answer.json()["data"][0]["embedding"]) == model["dim"]
        assert answer.headers["X-Crossray-Fingerprint"] == model["fingerprint"]


def index(cluster: Cluster, *arguments: Any) -> None:
    done = crossray("index", *map(str, arguments), "--strict", "--json", env=cluster.env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == []


def search(cluster: Cluster, *arguments: str) -> dict[str, Any]:
    done = crossray("search", *arguments, "--json", env=cluster.env)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def assert_each_finds_itself(http: httpx.Client, photos: Path) -> None:
    for path in photos.iterdir():
        hit = http.post("/v1/search", files={"image": (path.name, path.read_bytes())}).json()["hits"][0]
        assert Path(hit["source"]).name == path.name
        assert hit["score"] == pytest.approx(1.0, abs=1e-3)
    for text in TEXTS:
        hit = http.post("/v1/search", json={"text": text}).json()["hits"][0]
        assert hit["text"] == text
        assert hit["score"] == pytest.approx(1.0, abs=1e-3)


def prepares_in_processes(cluster: Cluster) -> bool:
    """Whether the encoder's replica has workers of its own."""
    replica = cluster.replica("Encoder")
    assert replica is not None
    commands = [" ".join(child.cmdline()) for child in replica.children(recursive=True)]
    return any("multiprocessing.forkserver" in command for command in commands)


def assert_rewrites_by_the_model(http: httpx.Client) -> None:
    """This one always answers "a cat": taken where the query speaks of one, and elsewhere the rules go on."""
    body = {"text": "somebody told me of a cat", "rewrite": "model"}
    by_model = http.post("/v1/search", json=body)
    rewrite = by_model.json()["rewrite"]
    assert (rewrite["by"], rewrite["subject"], rewrite["reason"]) == ("model", "a cat", ""), rewrite
    assert "a cat" in by_model.json()["rewritten_query"] != body["text"]
    assert "rewrite;dur=" in by_model.headers["Server-Timing"]
    by_rules = http.post("/v1/search", json=body | {"text": f"请帮我找一张{TEXTS[2]}的照片"}).json()
    assert (by_rules["rewrite"]["by"], by_rules["rewritten_query"]) == ("template", TEXTS[2])
    assert "another language" in by_rules["rewrite"]["reason"]
    assert http.post("/v1/search", json=body | {"rewrite": "off"}).json()["rewrite"] is None


def assert_dimensions(http: httpx.Client) -> None:
    """A Matryoshka prefix is a unit vector; another width is refused with those there are."""
    short = http.post("/v1/embeddings", json={"input": TEXTS[0], "dimensions": 64}).json()["data"][0]["embedding"]
    assert len(short) == 64
    assert sum(value * value for value in short) == pytest.approx(1.0, abs=1e-4)
    refused = http.post("/v1/embeddings", json={"input": TEXTS[0], "dimensions": 100})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "dimensions"
    assert "128, 64" in refused.json()["error"]["message"]
