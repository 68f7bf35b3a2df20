"""`crossray calibrate`: match probabilities for an encoder, fitted on captioned photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.captioned import (
    BatchSizeOption,
    EncoderOption,
    FolderArgument,
    LimitOption,
    ModelOption,
    parse_options,
)
from cluster.cli.connection import JsonOption, ProfileOption
from cluster.cli.output import progress, remark, results, write_json

if TYPE_CHECKING:
    from cluster.calibration.measure import Report
    from cluster.evaluation.captions import CaptionedImage
    from deployments.calibration import MatchCalibration
    from encoders.base import Encoder, Vectors

HELP = """Fit match probabilities on a folder of captioned photos, best such as the collection's own.

The folder is as for `crossray eval`: `captions.jsonl`, one photo a line, 60 of them or more. Runs in this process: no
cluster. It is fitted on half of the photos and reported on the other half; then fitted on all, and written into the
data folder, where a running server finds it within a second. From then on the hits of a text that looks for images
have a `relevance`, an answer says whether nothing is relevant, and `crossray match` shows these probabilities.

What is learnt is the encoder's: another model or another setting of it needs a calibration of its own. `relevance` is
the probability that a photo is the very one that the text describes, among about as many photos as were calibrated
with; among many more it reads too high. A text that is unlike every caption is said to have no answer, so the
captions should speak of all that the collection holds.

**Examples**

    crossray calibrate photos/
    crossray calibrate photos/ --absent unanswerable.txt --html calibration.html
    crossray calibrate photos/ --profile qwen --json"""


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="Quality and data")(calibrate)


def calibrate(
    folder: FolderArgument,
    encoder: EncoderOption = None,
    option: ModelOption = None,
    limit: LimitOption = None,
    batch_size: BatchSizeOption = 16,
    absent: Annotated[
        Path | None,
        typer.Option(
            help="Texts that nothing among the photos answers, one a line: reports how many are said to have no "
            "answer. They are not fitted on.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report with a plot, one file.")] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.calibration.fit import fit
    from cluster.calibration.measure import called_nothing, measure, to_json
    from cluster.evaluation.captions import load_captions
    from cluster.evaluation.loading import encoder_of
    from cluster.files import write_text
    from cluster.settings import CALIBRATIONS, load_settings
    from deployments.calibration import calibration_path
    from encoders.extras import require

    require("sklearn", "eval")  # before the encoding, which takes long
    images = load_captions(folder, limit)
    settings = load_settings(profile)
    texts = [] if absent is None else [line for line in absent.read_text(encoding="utf-8").splitlines() if line.strip()]
    model = encoder_of(settings, encoder, parse_options(option, "--option"))
    try:
        data, others = _embed(model, images, texts, batch_size)
        fingerprint = model.info.contract.fingerprint
    finally:
        model.close()
    fitted_on, tested_on = data.halves()
    trial = fit(fitted_on, fingerprint)
    languages = dict.fromkeys(tested_on.language.tolist())
    reports = {"all": measure(trial, tested_on)}
    reports |= {language: measure(trial, tested_on.of_language(language)) for language in languages}
    called = called_nothing(trial, others, tested_on.photos)
    fitted = fit(data, fingerprint)
    path = calibration_path(settings.data_dir / CALIBRATIONS, fingerprint)
    write_text(path, fitted.to_json())
    if html is not None:
        from cluster.calibration.report import render_report

        write_text(html, render_report(trial, reports, called))
        remark(f"report: {html}")
    if as_json:
        facts = {"fingerprint": fingerprint, "file": str(path), "photos": fitted.photos, "captions": fitted.captions}
        write_json(facts | to_json(reports, called))
    else:
        _show(fitted, reports, called)
        remark(f"written: {path}")


def _embed(model: Encoder, images: list[CaptionedImage], texts: list[str], batch_size: int) -> tuple[Any, Vectors]:
    from cluster.calibration.data import embed
    from cluster.evaluation.embedding import embed_queries

    captions = sum(len(texts) for image in images for texts in image.captions.values())
    with progress("Encoding", len(images) + captions + len(texts)) as advance:
        data = embed(model, images, batch_size=batch_size, advance=lambda _name, count: advance(count))
        return data, embed_queries(model, texts, batch_size=batch_size, advance=advance)


def _show(fitted: MatchCalibration, reports: dict[str, Report], absent: list[bool]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("on the half that was not fitted on")
    for column in ("AUROC", "ECE", "share right", "predictions"):
        table.add_column(column, justify="right")
    for scope, report in reports.items():
        kinds = {"first hits": report.first_hits, "best hit": report.best_hit, "pairs": report.pairs}
        for name, found in kinds.items():
            auroc = "" if found.auroc is None else f"{found.auroc:.3f}"
            table.add_row(f"{scope}: {name}", auroc, f"{found.ece:.3f}", f"{found.right:.3f}", str(found.count))
    console = results()
    console.print(table)
    for scope, report in reports.items():
        console.print(f"{scope}: {report.nothing_relevant:.1%} of the captions are said to have no answer")
    if absent:
        console.print(f"{sum(absent) / len(absent):.1%} of the {len(absent)} texts without an answer are said so")
    console.print(f"{fitted.fingerprint}: fitted on {fitted.photos} photos with {fitted.captions} captions")
