"""Reranking in an evaluation: which photos change places at which depth, and that the answer names the reranker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cluster.cli import build_app
from cluster.evaluation.captions import CaptionedImage, load_captions
from cluster.evaluation.report import render_report
from cluster.evaluation.run import evaluate
from encoders.base import Prepared, Vectors
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from encoders.images import ImageLimits
from encoders.queries import RuleStructurer
from encoders.reranking import Scores

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def photos(tmp_path: Path) -> list[CaptionedImage]:
    for colour in COLOURS:
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{colour}.png")
    lines = [json.dumps({"image": f"{colour}.png", "en": [f"show me {colour}"]}) for colour in COLOURS]
    (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return load_captions(tmp_path)


class Upside(FakeReranker):
    """Prefers what fits least."""

    def forward(self, batch: Sequence[Prepared]) -> Scores:
        scores: Scores = 1 - super().forward(batch)
        return scores


class Averse(FakeEncoder):
    """Puts each text where its colour is not."""

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        vectors = super().forward(batch)
        for row, prepared in enumerate(batch):
            if prepared.modality == "text":
                vectors[row] *= -1
        return vectors


def median_ranks(encoder: FakeEncoder, reranker: FakeReranker, photos: list[CaptionedImage]) -> dict[str, float]:
    answer = evaluate(encoder, photos, reranker=reranker, depths=(0, 2, 4), batch_size=3).to_json()["en"]
    return {name: answer[name]["median_rank"] for name in answer if name.startswith("text_to_image")}


def test_a_good_reranker_mends_what_it_gets_to_see(photos: list[CaptionedImage]) -> None:
    ranks = median_ranks(Averse(), FakeReranker(), photos)
    assert ranks == {"text_to_image": 4, "text_to_image_rerank_2": 4, "text_to_image_rerank_4": 1}


def test_a_bad_reranker_spoils_as_much_as_its_depth(photos: list[CaptionedImage]) -> None:
    ranks = median_ranks(FakeEncoder(), Upside(), photos)
    assert ranks == {"text_to_image": 1, "text_to_image_rerank_2": 2, "text_to_image_rerank_4": 4}


def test_rewritten_queries_are_reranked_too_and_the_report_names_the_reranker(photos: list[CaptionedImage]) -> None:
    evaluation = evaluate(
        FakeEncoder(),
        photos,
        rewrites={"template": RuleStructurer()},
        reranker=FakeReranker(),
        depths=(0, 2),
        batch_size=3,
    )
    assert [task.name for task in evaluation.tasks] == [
        "text_to_image",
        "text_to_image_rerank_2",
        "text_to_image_template",
        "text_to_image_template_rerank_2",
        "image_to_text",
    ]
    assert "reranked by fake-reranker" in render_report(evaluation, ImageLimits())


def test_the_command_reports_each_depth(photos: list[CaptionedImage]) -> None:
    command = ["eval", str(photos[0].path.parent), "--encoder", "fake", "--rerank", "fake-reranker"]
    run = CliRunner().invoke(build_app(), [*command, "--rerank-depth", "0,2", "--json"], catch_exceptions=False)
    answer = json.loads(run.stdout)
    assert answer["reranker"]["name"] == "fake-reranker"
    assert answer["reranker"]["fingerprint"] == FakeReranker().info.fingerprint
    assert {"en.text_to_image.r1", "en.text_to_image_rerank_2.r1"} <= set(answer["metrics"])
    plain = CliRunner().invoke(build_app(), [*command, "--rerank-depth", "0,2"], catch_exceptions=False)
    assert "reranked by fake-reranker" in plain.stdout
    assert CliRunner().invoke(build_app(), [*command, "--rerank-depth", "ten"]).exit_code == 2


def test_no_reranker_no_column(photos: list[CaptionedImage]) -> None:
    answer = evaluate(FakeEncoder(), photos).to_json()
    assert answer["reranker"] is None
    assert set(answer["en"]) == {"text_to_image", "image_to_text"}
