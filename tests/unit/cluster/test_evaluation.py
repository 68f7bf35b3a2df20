"""An evaluation end to end with the fake encoder, which knows colours by name in both languages."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cluster.cli import build_app
from cluster.errors import BadDataset
from cluster.evaluation.captions import CaptionedImage, load_captions
from cluster.evaluation.report import render_report
from cluster.evaluation.run import evaluate
from encoders.base import EncoderInput, Prepared, Role, normalise
from encoders.errors import InputError
from encoders.fake import FakeEncoder, FakePreparer
from encoders.images import ImageLimits
from encoders.queries import RuleStructurer
from encoders.queries.fake import FakeStructurer

COLOURS = {"red": "红", "green": "绿", "blue": "蓝", "yellow": "黄"}


@pytest.fixture
def photos(tmp_path: Path) -> list[CaptionedImage]:
    lines = []
    for english, chinese in COLOURS.items():
        Image.new("RGB", (32, 32), english).save(tmp_path / f"{english}.png")
        captions = {"en": [f"a {english} <wall>", f"{english}"], "zh": [f"{chinese}色"]}
        lines.append(json.dumps({"image": f"{english}.png", **captions}))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return load_captions(tmp_path)


def test_colours_are_found_in_every_direction(photos: list[CaptionedImage]) -> None:
    answer = evaluate(FakeEncoder(), photos, batch_size=3).to_json()
    for path in ("en.text_to_image", "en.image_to_text", "zh.text_to_image", "zh.image_to_text"):
        scope, task = path.split(".")
        assert answer[scope][task]["r1"] == 1.0
        assert answer["metrics"][f"{path}.r1"] == 1.0
    assert answer["en_to_zh"]["text_to_text"]["r1"] == 1.0
    assert answer["zh_to_en"]["text_to_text"]["median_rank"] == 1.0
    assert answer["en"]["text_to_image"]["random"]["r1"] == pytest.approx(0.25)
    assert (answer["en"]["text_to_image"]["queries"], answer["en"]["text_to_image"]["documents"]) == (8, 4)
    assert (answer["encoder"], answer["images"], answer["captions"]) == ("fake", 4, {"en": 8, "zh": 4})
    assert answer["fingerprint"] == FakeEncoder().info.contract.fingerprint


def test_captions_on_the_wrong_photos_are_not_found(photos: list[CaptionedImage]) -> None:
    moved = [
        CaptionedImage(image.name, image.path, other.captions)
        for image, other in zip(photos, photos[1:] + photos[:1], strict=True)
    ]
    assert evaluate(FakeEncoder(), moved).to_json()["en"]["text_to_image"]["r1"] == 0.0


def test_rewriting_is_reported_beside_the_captions_as_they_are(photos: list[CaptionedImage]) -> None:
    asked = [
        CaptionedImage(
            image.name, image.path, {"en": (f"show me a picture of {name}",), "zh": (f"请帮我找{zh}色的照片",)}
        )
        for image, (name, zh) in zip(photos, COLOURS.items(), strict=True)
    ]
    seen: dict[str, int] = {}
    evaluation = evaluate(
        FakeEncoder(),
        asked,
        rewrites={"template": RuleStructurer(), "model": FakeStructurer(refuse="red")},
        advance=lambda name, count: seen.update({name: seen.get(name, 0) + count}),
    )
    answer = evaluation.to_json()
    for language in ("en", "zh"):
        assert answer[language]["text_to_image"]["queries"] == 4
        assert answer[language]["text_to_image_template"]["queries"] == 4
        assert answer[language]["text_to_image_template"]["r1"] == 1.0
        assert answer["metrics"][f"{language}.text_to_image_template.r1"] == 1.0
    tasks = {(task.scope, task.name): task for task in evaluation.tasks}
    for language in ("en", "zh"):
        plain, rewritten = (tasks[language, name].ranks.margin for name in ("text_to_image", "text_to_image_template"))
        assert (rewritten > plain).all()
    ways = {f"{way} {language}": 4 for way in ("template", "model") for language in ("en", "zh")}
    assert seen == {"photos": 4, "captions en": 4, "captions zh": 4, **ways}
    assert answer["rewritings"]["template"]["left_to_rules"] == {"en": 0, "zh": 0}
    assert answer["rewritings"]["model"]["structurer"]["name"] == "fake-structurer"
    assert answer["rewritings"]["model"]["left_to_rules"] == {"en": 1, "zh": 0}, "show me a picture of red"
    assert answer["en"]["text_to_image_model"]["r1"] == 1.0
    assert "text_to_image_template" not in evaluate(FakeEncoder(), asked).to_json()["en"]


def test_progress_counts_every_input_once(photos: list[CaptionedImage]) -> None:
    seen: dict[str, int] = {}
    evaluate(FakeEncoder(), photos, advance=lambda name, count: seen.update({name: seen.get(name, 0) + count}))
    assert seen == {"photos": 4, "captions en": 8, "captions zh": 4}


class AsymmetricPreparer(FakePreparer):
    """Queries point the other way in the colour columns, as an encoder with instructions per role might have it."""

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        prepared = super().__call__(item, role)
        sign = -1.0 if role == "query" else 1.0
        return Prepared(normalise(np.asarray(prepared.payload) * sign), prepared.cost, prepared.modality)


class AsymmetricEncoder(FakeEncoder):
    @property
    def preparer(self) -> AsymmetricPreparer:
        base = super().preparer
        return AsymmetricPreparer(base.dim, base.limits, base.refuse)


def test_queries_are_encoded_as_queries_and_documents_as_documents(photos: list[CaptionedImage]) -> None:
    answer = evaluate(AsymmetricEncoder(), photos).to_json()
    assert answer["en"]["text_to_image"]["r1"] == 0.0
    assert answer["en"]["text_to_image"]["queries"] == 8


def test_a_photo_without_captions_of_a_language_is_no_query_but_a_document(photos: list[CaptionedImage]) -> None:
    first = CaptionedImage(photos[0].name, photos[0].path, {"en": photos[0].captions["en"]})
    answer = evaluate(FakeEncoder(), [first, *photos[1:]]).to_json()
    assert answer["zh"]["image_to_text"]["queries"] == 3
    assert answer["zh"]["text_to_image"]["documents"] == 4
    assert answer["en_to_zh"]["text_to_text"]["queries"] == 6


def test_a_photo_that_cannot_be_decoded_is_named(photos: list[CaptionedImage]) -> None:
    photos[2].path.write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    with pytest.raises(BadDataset, match=r"blue\.png"):
        evaluate(FakeEncoder(), photos)


def test_photos_are_held_to_the_limits_of_the_settings(
    photos: list[CaptionedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["eval", str(photos[0].path.parent), "--encoder", "fake", "--json"]
    Image.new("RGB", (64, 32), "red").save(photos[0].path)
    monkeypatch.setenv("CROSSRAY_IMAGES__MAX_PIXELS", "2048")
    CliRunner().invoke(build_app(), command, catch_exceptions=False)
    monkeypatch.setenv("CROSSRAY_IMAGES__MAX_PIXELS", "2047")
    with pytest.raises(BadDataset, match="64×32 pixels, and at most 2047 are taken"):
        CliRunner().invoke(build_app(), command, catch_exceptions=False)


def test_the_report_holds_photos_to_the_limits_of_the_evaluation(photos: list[CaptionedImage]) -> None:
    with pytest.raises(InputError, match="at most 1 are taken"):
        render_report(evaluate(FakeEncoder(), photos), ImageLimits(max_pixels=1))


def test_the_report_is_self_contained_and_escapes(photos: list[CaptionedImage]) -> None:
    page = render_report(evaluate(FakeEncoder(), photos), ImageLimits())
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "<wall>" not in page
    assert "a red &lt;wall&gt;" in page
    plots = [source for source in sources if source.startswith("data:image/svg")]
    assert len(plots) == 2
    assert all(b"</svg>" in base64.b64decode(plot.partition(",")[2]) for plot in plots)


def test_the_command_rewrites_by_a_model_where_one_is_named(photos: list[CaptionedImage]) -> None:
    command = ["eval", str(photos[0].path.parent), "--encoder", "fake", "--rewrite", "off,template,model"]
    named = [*command, "--rewrite-model", "fake-structurer"]
    answer = json.loads(CliRunner().invoke(build_app(), [*named, "--json"], catch_exceptions=False).stdout)
    assert {"text_to_image", "text_to_image_template", "text_to_image_model"} <= set(answer["en"])
    shown = CliRunner().invoke(build_app(), named, catch_exceptions=False).stdout
    assert "model: rewritten by fake-structurer, left to the rules: 0 en, 0 zh" in shown
    without = CliRunner().invoke(build_app(), command)
    assert "--rewrite-model" in str(without.exception)
