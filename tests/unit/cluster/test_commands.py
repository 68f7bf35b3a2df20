"""The commands against a real server: what they print, for people and for machines."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner, Result

from cluster.cli import build_app
from cluster.cli.search import search
from cluster.client import Client
from cluster.errors import ApiError, ClusterError
from deployments.metrics import METRICS
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from encoders.queries.rewrite import REWRITES
from tests.unit.cluster.conftest import Serve

COLOURS = ("red", "green", "blue")


class Crossray:
    """The command line against one server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(build_app(), [*arguments, "--url", self.url], catch_exceptions=False)

    def json(self, *arguments: str) -> Any:
        answer = self(*arguments, "--json")
        assert answer.exit_code == 0, answer.stderr
        return json.loads(answer.stdout)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in COLOURS:
        Image.new("RGB", (16, 16), colour).save(folder / f"{colour}.png")
    return folder


@pytest.fixture
def crossray(url: str, photos: Path, tmp_path: Path) -> Crossray:
    """A server with three photos and two texts."""
    command = Crossray(url)
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "a <b>red</b> boat", "metadata": {"lang": "en"}}\n"绿色的树"\n', encoding="utf-8")
    done = command.json("index", str(photos), "--texts", str(texts), "--tag", "holiday", "--tag", "year=2024")
    assert (done["indexed"], done["skipped"], done["failed"]) == (5, 0, [])
    return command


def test_a_search_in_words(crossray: Crossray) -> None:
    answer = crossray.json("search", "red", "--target", "image", "--top-k", "2")
    assert Path(answer["hits"][0]["source"]).name == "red.png"
    assert len(answer["hits"]) == 2
    assert answer["timings_ms"]["total"] > 0
    shown = crossray("search", "red", "--target", "image")
    assert "red.png" in shown.stdout.replace("\n", "")
    assert "total" in shown.stderr


def test_a_search_by_image_and_by_stored_item(crossray: Crossray, photos: Path) -> None:
    found = crossray.json("search", "--image", str(photos / "blue.png"), "--target", "image", "--min-score", "0.9")
    assert [Path(hit["source"]).name for hit in found["hits"]] == ["blue.png"]
    near = crossray.json("search", "--id", found["hits"][0]["id"], "--target", "image")
    assert {Path(hit["source"]).name for hit in near["hits"]} == {"red.png", "green.png"}


def test_a_search_by_image_and_words_with_a_filter(crossray: Crossray, photos: Path) -> None:
    picture = str(photos / "red.png")
    only = crossray.json("search", "red", "--image", picture, "--filter", "lang=en, tags=holiday")
    assert [hit["text"] for hit in only["hits"]] == ["a <b>red</b> boat"]
    assert crossray.json("search", "red", "--filter", "year>2024")["hits"] == []


def test_a_contact_sheet_has_its_pictures_inside(crossray: Crossray, photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "out" / "found.html"
    crossray.json("search", "--image", str(photos / "red.png"), "--html", str(sheet))
    page = sheet.read_text(encoding="utf-8")
    assert base64.b64encode((photos / "red.png").read_bytes()).decode() in page
    assert page.count("data:image/webp;base64,") == 3
    assert "a &lt;b&gt;red&lt;/b&gt; boat" in page
    assert "http://" not in page


def test_a_mix_of_texts_an_image_and_a_stored_item(crossray: Crossray, photos: Path) -> None:
    def first(*parts: str) -> str:
        options = [word for part in parts for word in ("--mix", part)]
        return Path(crossray.json("search", *options, "--target", "image")["hits"][0]["source"]).name

    green = f"image:{photos / 'green.png'}"
    assert first("text:red", f"{green}@0.2") == "red.png"
    assert first("text:red@0.2", green) == "green.png"
    assert first("text:red", "text:blue@0.9", "text:red@-1") == "blue.png", "a negative weight pushes away"
    stored = crossray.json("search", "red", "--target", "image")["hits"][0]["id"]
    others = [hit["id"] for hit in crossray.json("search", "--mix", f"id:{stored}", "--target", "image")["hits"]]
    assert len(others) == 2
    assert stored not in others
    for bad in ("red", "text:", "colour:red", "image:", "text@2"):
        with pytest.raises(ClusterError, match="--mix"):
            crossray("search", "--mix", bad)
    assert crossray("search", "red", "--mix", "text:blue").exit_code == 2
    assert "--mix" in crossray("search", "--mix", "text:a@2", "--id", "x").stderr


def test_a_search_that_folds_and_says_what_is_relevant(crossray: Crossray, photos: Path) -> None:
    Image.new("RGB", (17, 16), "red").save(photos / "red-again.png")
    crossray.json("index", str(photos))
    options = ("search", "red", "--target", "image", "--duplicate-cosine", "0.9")
    first = crossray.json(*options)["hits"][0]
    assert len(first["duplicates"]) == 1
    assert "and 1 like it" in crossray(*options).stdout
    with pytest.raises(ApiError, match="min_relevance"):
        crossray("search", "red", "--min-relevance", "0.5")


def test_a_search_in_other_words(crossray: Crossray) -> None:
    words = "please show me photos of a red boat"
    assert crossray.json("search", words)["rewritten_query"] is None
    answer = crossray.json("search", words, "--rewrite", "template")
    assert answer["rewritten_query"] not in (None, words)
    assert f"searched for: {answer['rewritten_query']}" in crossray("search", words, "--rewrite", "template").stderr


def test_a_search_is_reranked_within_what_it_may_cost(serve: Serve, photos: Path, tmp_path: Path) -> None:
    with serve(FakeEncoder(), tmp_path / "server", FakeReranker()) as url:
        crossray = Crossray(url)
        crossray.json("index", str(photos))
        dense = crossray.json("search", "red")
        always = ("--rerank-margin", "2", "--rerank-deadline", "30000")
        shown = crossray("search", "red", *always)
        short = crossray.json("search", "red", "--rerank-depth", "2", *always)
        clear = crossray("search", "red", "--rerank-margin", "0")
        pictured = crossray.json("search", "--image", str(photos / "red.png"), "--rerank", *always)
        off = crossray.json("search", "red", "--no-rerank")
    assert [stage["name"] for stage in dense["stages"]] == [stage["name"] for stage in off["stages"]] == ["dense"]
    assert "rerank: reranked, first 3" in shown.stderr
    assert "rerank" in shown.stdout.splitlines()[0]
    assert [hit["rerank_score"] is None for hit in short["hits"]] == [False, False, True]
    assert "rerank: skipped, first 3 (clear: hits 1 and 3 are" in clear.stderr
    assert pictured["hits"][0]["rerank_score"] is not None


def test_a_server_without_a_reranker_says_so(crossray: Crossray) -> None:
    answer = CliRunner().invoke(build_app(), ["search", "red", "--rerank", "--url", crossray.url])
    assert answer.exit_code == 1
    assert "rerank.enabled" in str(answer.exception)


def test_every_way_of_rewriting_can_be_asked_for() -> None:
    choice = get_args(get_type_hints(search)["rewrite"])[0]
    assert get_args(choice) == REWRITES


def test_no_answer_is_said_and_is_no_error(crossray: Crossray) -> None:
    answer = crossray("search", "red", "--filter", "year>2024")
    assert answer.exit_code == 0
    assert "nothing was found" in answer.stderr


def test_match_compares_every_text_with_every_image(crossray: Crossray, photos: Path) -> None:
    images = [argument for colour in COLOURS for argument in ("--image", str(photos / f"{colour}.png"))]
    answer = crossray.json("match", "--text", "red", "--text", "blue", *images)
    cosines = answer["cosine"]
    assert max(range(3), key=cosines[0].__getitem__) == 0
    assert max(range(3), key=cosines[1].__getitem__) == 2
    assert answer["texts"] == ["red", "blue"]
    assert "red.png" in crossray("match", "--text", "red", "--image", str(photos / "red.png")).stdout


def test_index_lists_bad_files_and_fails_only_when_asked_or_when_all_did(crossray: Crossray, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"nothing")
    again = crossray("index", str(photos))
    assert again.exit_code == 0
    assert "0 indexed, 3 there already, 1 failed" in again.stdout
    assert "bad.jpg: is neither" in again.stderr
    assert crossray("index", str(photos), "--strict").exit_code == 1
    assert crossray("index", str(photos / "bad.jpg")).exit_code == 1


def samples(file: Path) -> dict[tuple[str, str], float]:
    """Of a file of metrics, by name and outcome, as Prometheus reads it."""
    families = text_string_to_metric_families(file.read_text())
    found = [sample for family in families for sample in family.samples]
    assert {sample.labels["command"] for sample in found} == {"index"}
    assert {sample.name for sample in found} <= {metric.name for metric in METRICS.values() if metric.by_command}
    return {(sample.name, sample.labels.get("outcome", "")): sample.value for sample in found}


def test_a_run_leaves_for_prometheus_how_it_ended(crossray: Crossray, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "collector/crossray.prom"
    crossray("index", str(photos), "--metrics-file", str(file))
    fine = samples(file)
    assert fine["crossray_run_succeeded", ""] == 1
    assert (fine["crossray_run_items", "skipped"], fine["crossray_run_items", "failed"]) == (3, 0)
    (photos / "bad.jpg").write_bytes(b"nothing")
    crossray("index", str(photos), "--metrics-file", str(file))
    assert samples(file)["crossray_run_succeeded", ""] == 0
    assert samples(file)["crossray_run_items", "failed"] == 1
    assert file.stat().st_mode & 0o777 == 0o644, "the collector is another user"


def test_a_run_that_cannot_start_is_one_that_failed(crossray: Crossray, photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "crossray.prom"
    with pytest.raises(ApiError, match="nowhere"):
        crossray("index", str(photos), "--metrics-file", str(file), "--collection", "nowhere")
    assert samples(file)["crossray_run_succeeded", ""] == 0
    assert ("crossray_run_items", "indexed") not in samples(file)
    assert samples(file)["crossray_run_ended_timestamp_seconds", ""] == pytest.approx(time.time(), abs=600)
    with pytest.raises(ClusterError, match=r"\.prom"):
        crossray("index", str(photos), "--metrics-file", str(tmp_path / "crossray.txt"))


def test_export_and_import(crossray: Crossray, tmp_path: Path) -> None:
    file = str(tmp_path / "all.parquet")
    assert crossray.json("export", file)["items"] == 5
    assert crossray.json("import", file) == {"imported": 0, "skipped": 5, "failed": []}
    assert "5 items" in crossray("export", file).stdout


def test_backup_and_restore(crossray: Crossray, tmp_path: Path) -> None:
    folder = str(tmp_path / "backup")
    assert crossray.json("backup", folder)["items"] == 5
    restored = {"imported": 0, "skipped": 5, "failed": 0, "differing": []}
    assert crossray.json("restore", folder) == restored
    assert crossray.json("restore", folder, "--no-verify") == restored | {"differing": None}
    nobody = ["restore", folder, "--check-only", "--url", "http://127.0.0.1:9"]
    assert "5 items, all files whole" in CliRunner().invoke(build_app(), nobody, catch_exceptions=False).stdout
    with Client(crossray.url) as client:
        changed = next(client.pages(limit=5, vectors=False)).items[0]
        client.store({"id": changed.id, "text": "something else"})
    found = crossray("restore", folder)
    assert found.exit_code == 1
    assert f"{changed.id}: is not on the server as it is in the backup" in found.stderr


def test_eval_prints_figures_beside_chance(photos: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"image": f"{colour}.png", "en": [f"a {colour} wall"]}) for colour in COLOURS]
    (photos / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    report = tmp_path / "report.html"
    arguments = ["eval", str(photos), "--encoder", "fake", "--option", "dim=32", "--html", str(report)]
    shown = CliRunner().invoke(build_app(), arguments, catch_exceptions=False)
    assert "en text_to_image" in shown.stdout
    assert "by chance" in shown.stdout
    assert "<html" in report.read_text(encoding="utf-8")
    answer = json.loads(CliRunner().invoke(build_app(), [*arguments, "--json"], catch_exceptions=False).stdout)
    assert answer["en"]["text_to_image"]["r1"] == 1.0
    assert answer["contract"]["dim"] == 32


def test_model_list_names_what_eval_takes() -> None:
    answer = CliRunner().invoke(build_app(), ["model", "list", "--json"], catch_exceptions=False)
    assert {"fake", "starter"} <= set(json.loads(answer.stdout)["encoders"])
