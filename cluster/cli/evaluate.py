"""`crossray eval`: how good an encoder's retrieval is on captioned photos, without a cluster."""

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
    from cluster.evaluation.captions import CaptionedImage
    from cluster.evaluation.run import Evaluation, Task
    from encoders.base import Encoder
    from encoders.images import ImageLimits
    from encoders.queries import QueryStructurer, Rewrite
    from encoders.reranking import Reranker

HELP = """Measure retrieval on a folder of captioned photos: recall at 1, 5, 10 and median rank, beside chance.

The folder holds `captions.jsonl`, one photo a line: {"image": "images/x.jpg", "en": ["…"], "zh": ["…"]}. Runs in this
process: no cluster, nothing stored.

Per language, each caption searches the photos, and each photo the captions; per pair of languages, each caption
searches the other language's captions and is right when it finds one of the same photo.

**Examples**

    crossray eval photos/
    crossray eval photos/ --encoder starter --limit 100 --html report.html
    crossray eval photos/ --profile qwen --rewrite off,template
    crossray eval photos/ --limit 100 --rerank Qwen/Qwen3-VL-Reranker-2B --rerank-depth 0,10,50
    crossray eval photos/ --json | jq .en.text_to_image.r10"""


def register(app: typer.Typer) -> None:
    app.command("eval", help=HELP, rich_help_panel="Quality and data")(evaluate)


def evaluate(
    folder: FolderArgument,
    encoder: EncoderOption = None,
    option: ModelOption = None,
    limit: LimitOption = None,
    batch_size: BatchSizeOption = 16,
    rewrite: Annotated[
        str, typer.Option(help="Ways to rewrite queries, by comma: `off,template,model` reports all, per language.")
    ] = "off",
    rewrite_model: Annotated[
        str | None,
        typer.Option(
            help="For `--rewrite model`: a structurer of `crossray model list`, or a Qwen3-VL-Instruct checkpoint. "
            "Without it, the profile's."
        ),
    ] = None,
    rerank: Annotated[
        str | None, typer.Option(help="A reranker of `crossray model list`, or a Qwen3-VL-Reranker checkpoint.")
    ] = None,
    rerank_depth: Annotated[
        str | None,
        typer.Option(help="How many first photos it reorders, by comma; 0 is the plain search [default: 0,10,50]."),
    ] = None,
    rerank_option: Annotated[
        list[str] | None, typer.Option(help="`key=value`, passed to the reranker; may be repeated.", show_default=False)
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report with plots and pictures, one file.")] = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    from cluster.evaluation.captions import load_captions
    from cluster.evaluation.loading import encoder_of, reranker_of, structurers_of
    from cluster.settings import load_settings

    rewrites = _rewrites(rewrite)
    _require_use("--rewrite model", "model" in rewrites, {"--rewrite-model": rewrite_model})
    given = {"--rerank-depth": rerank_depth, "--rerank-option": rerank_option}
    _require_use("--rerank", rerank is not None, given)
    depths = _depths(rerank_depth or "0,10,50")
    options, rerank_options = parse_options(option, "--option"), parse_options(rerank_option, "--rerank-option")
    images = load_captions(folder, limit)
    settings = load_settings(profile)
    model = encoder_of(settings, encoder, options)
    reranker = None
    structurers: dict[str, QueryStructurer] = {}
    try:
        structurers = structurers_of(settings, rewrites, rewrite_model)
        reranker = None if rerank is None else reranker_of(settings, rerank, rerank_options)
        evaluation = _run(model, images, batch_size, structurers, reranker, depths)
    finally:
        model.close()
        for structurer in structurers.values():
            structurer.close()
        if reranker is not None:
            reranker.close()
    if html is not None:
        _write_report(evaluation, settings.image_limits, html)
    if as_json:
        write_json(evaluation.to_json())
    else:
        _show(evaluation)


def _rewrites(given: str) -> list[Rewrite]:
    from encoders.queries.rewrite import REWRITES

    names = [name.strip() for name in given.split(",")]
    if unknown := [name for name in names if name not in REWRITES]:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(REWRITES)}", param_hint="--rewrite")
    return [name for name in REWRITES if name in names]


def _require_use(of: str, is_used: bool, given: dict[str, Any]) -> None:
    """Refuses options that would say nothing without another."""
    for flag, value in given.items():
        if value and not is_used:
            raise typer.BadParameter(f"it needs {of}", param_hint=flag)


def _depths(given: str) -> list[int]:
    try:
        depths = sorted({int(depth) for depth in given.split(",")})
    except ValueError:
        depths = [-1]
    if depths[0] < 0:
        raise typer.BadParameter(f"{given!r} is not a list of depths such as 0,10,50", param_hint="--rerank-depth")
    return depths


def _run(
    encoder: Encoder,
    images: list[CaptionedImage],
    batch_size: int,
    structurers: dict[str, QueryStructurer],
    reranker: Reranker | None,
    depths: list[int],
) -> Evaluation:
    from cluster.evaluation.run import evaluate as run

    captions = sum(len(texts) for image in images for texts in image.captions.values())
    passes = 1 + len(structurers)
    pairs = passes * captions * min(max(depths), len(images)) if reranker is not None else 0
    with progress("Encoding", len(images) + passes * captions + pairs) as advance:
        return run(
            encoder,
            images,
            batch_size=batch_size,
            rewrites=structurers,
            reranker=reranker,
            depths=depths,
            advance=lambda _name, count: advance(count),
        )


def _write_report(evaluation: Evaluation, limits: ImageLimits, path: Path) -> None:
    from cluster.evaluation.report import render_report
    from cluster.files import write_text

    write_text(path, render_report(evaluation, limits))
    remark(f"report: {path}")


def _show(evaluation: Evaluation) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in ("R@1 %", "R@5 %", "R@10 %", "median rank", "queries", "documents"):
        table.add_column(column, justify="right")
    for task in evaluation.tasks:
        table.add_row(f"{task.scope} {task.name}", *_figures(task))
        table.add_row("  by chance", *_percents(task.chance), style="dim")
    console = results()
    console.print(table)
    for name, report in evaluation.rewritings.items():
        left = ", ".join(f"{count} {language}" for language, count in report.left_to_rules.items())
        console.print(f"{name}: rewritten by {report.structurer.name}, left to the rules: {left}")
    info, counts = evaluation.info, evaluation.to_json()
    console.print(
        f"{info.name} ({info.contract.fingerprint}), {len(evaluation.images)} photos in {evaluation.seconds:.1f} s: "
        f"{counts['images_per_second']} photos/s, {counts['texts_per_second']} texts/s"
    )
    if evaluation.reranker is not None:
        used = evaluation.reranker
        console.print(f"reranked by {used.name}, model {used.model} at {used.revision} ({used.fingerprint})")


def _figures(task: Task) -> tuple[str, ...]:
    return (*_percents(task.metrics), str(task.queries), str(task.documents))


def _percents(metrics: Any) -> tuple[str, ...]:
    return (*(f"{100 * value:.1f}" for value in (metrics.r1, metrics.r5, metrics.r10)), f"{metrics.median_rank:g}")
