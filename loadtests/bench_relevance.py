"""How far "relevant" can be trusted: probabilities fitted on half of a set of captioned photos, tested on the other.

    python -m loadtests.bench_relevance --data DIR [--output FILE]

DIR is as for `crossray eval`. The starter encoder runs in this process. Captions search the photos of the test half;
texts that these photos cannot answer (`loadtests/unanswerable.py`) search them, too, through the whole search service
over an index in memory, as do some of the captions, and their answers say whether nothing is relevant. What that costs
a search is measured by itself, on an index of 10,000 random vectors.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cluster.calibration.data import embed
from cluster.calibration.fit import fit
from cluster.calibration.measure import Report, measure
from cluster.evaluation.captions import CaptionedImage, load_captions
from deployments.background import SAMPLE_ROWS, Background
from deployments.batch_queue import BatchLimits
from deployments.calibration import MatchCalibration
from deployments.candidates import by_vector
from deployments.encoder import EncoderWorker
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.relevance import Judge
from deployments.rewriting import NO_REWRITING, QueryRewriter
from deployments.schemas.search import SearchRequest
from deployments.search import SearchService
from deployments.stages import Stages
from encoders import Encoder, Vectors
from encoders.base import normalise
from encoders.queries import prompt_for
from loadtests.encoder_cost import open_encoder
from loadtests.report import circumstances, table, write_report
from loadtests.unanswerable import ABSENT, SHORT, TUNED, UNSEEN
from retrieval import Payload, Query, Record
from retrieval.memory import MemoryIndex

ASKED_CAPTIONS = 200
"""Of each language, for the whole search service."""
COST_ROWS = 10_000
COST_SEARCHES = 200
LISTS = {"tuned": TUNED, "unseen": UNSEEN, "absent but photographable": ABSENT, "answerable in a word": SHORT}


async def index_of(rows: Vectors) -> MemoryIndex:
    index = MemoryIndex(rows.shape[1])
    await index.upsert([Record(f"{row:06}", vector, Payload(kind="image")) for row, vector in enumerate(rows)])
    return index


async def called_nothing(service: SearchService, texts: Sequence[str]) -> float:
    """The share, in percent, whose answer says that nothing is relevant."""
    called = []
    for text in texts:
        request = SearchRequest.model_validate({"text": text, "target": "image"})
        called.append((await service.search(request, Stages())).judgement.nothing_relevant is True)
    return 100 * float(np.mean(called))


async def ask(
    encoder: Encoder, fitted: MatchCalibration, photos: Vectors, captions: dict[str, list[str]]
) -> list[dict[str, Any]]:
    """A row a list of texts and language."""
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    index = LocalIndex(await index_of(photos))
    rewriter = QueryRewriter(prompt_for(encoder.info.name), NO_REWRITING, None, on_done=lambda did: None)
    judge = Judge(Background(index), lambda: fitted)
    service = SearchService(LocalEncoder(worker), index, encoder.info, rewriter=rewriter, judge=judge)
    lists = [(name, language, list(texts)) for name, of in LISTS.items() for language, texts in of.items()]
    lists += [("captions", language, texts) for language, texts in captions.items()]
    rows = []
    for name, language, texts in lists:
        called = await called_nothing(service, texts)
        rows.append({"texts": name, "language": language, "count": len(texts), "nothing relevant %": called})
    await worker.close()
    return rows


async def cost(fitted: MatchCalibration, dim: int) -> dict[str, Any]:
    """Milliseconds that judging adds to a search of 10 hits, the median of many."""
    random = np.random.default_rng(3)
    index = LocalIndex(await index_of(normalise(random.standard_normal((COST_ROWS, dim)).astype(np.float32))))
    judge = Judge(Background(index), lambda: fitted)
    found = []
    for _ in range(COST_SEARCHES):
        stages = Stages()
        request = SearchRequest.model_validate({"text": "any", "target": "image"})
        vector = normalise(random.standard_normal((1, dim)).astype(np.float32))[0]
        candidates = await by_vector(index, Query(vector, 10))
        stages.lap("search")
        await judge.judge(request, candidates, candidates.hits)
        stages.lap("relevance")
        found.append(stages.milliseconds()["relevance"])
    return {"sample_rows": SAMPLE_ROWS, "relevance_ms_p50": float(np.median(found))}


def rows_of(reports: dict[str, Report]) -> list[dict[str, Any]]:
    rows = []
    for scope, report in reports.items():
        for name in ("first_hits", "best_hit", "pairs"):
            one = getattr(report, name)
            rows.append(
                {"captions": scope, "of": name, "AUROC": one.auroc, "ECE": one.ece, "right": one.right, "n": one.count}
            )
    return rows


def targets(reports: dict[str, Report], asked: Sequence[dict[str, Any]]) -> dict[str, bool]:
    by = {(row["texts"], row["language"]): row["nothing relevant %"] for row in asked}
    met = {}
    for scope, report in reports.items():
        for name in ("first_hits", "best_hit"):
            one = getattr(report, name)
            met[f"{scope} {name}: AUROC >= 0.68"] = one.auroc is not None and one.auroc >= 0.68
            met[f"{scope} {name}: ECE <= 0.1"] = one.ece <= 0.1
        met[f"{scope} captions: nothing relevant <= 10 %"] = report.nothing_relevant <= 0.1
    for language in UNSEEN:
        met[f"{language} unseen: nothing relevant >= 80 %"] = by["unseen", language] >= 80
    return met


def some_captions(images: Sequence[CaptionedImage], language: str) -> list[str]:
    """At most ASKED_CAPTIONS, spread over the photos."""
    texts = [text for image in images for text in image.captions.get(language, ())]
    return texts[:: max(1, len(texts) // ASKED_CAPTIONS)][:ASKED_CAPTIONS]


async def run(folder: Path) -> dict[str, Any]:
    images = load_captions(folder)
    encoder = open_encoder("starter")
    data = embed(encoder, images, batch_size=16)
    fitted_on, tested_on = data.halves()
    fitted = fit(fitted_on, encoder.info.contract.fingerprint)
    languages = list(dict.fromkeys(tested_on.language.tolist()))
    reports = {"all": measure(fitted, tested_on)}
    reports |= {language: measure(fitted, tested_on.of_language(language)) for language in languages}
    photos = {row.tobytes() for row in tested_on.photos}
    tested = [image for image, row in zip(images, data.photos, strict=True) if row.tobytes() in photos]
    captions = {language: some_captions(tested, language) for language in languages}
    asked = await ask(encoder, fitted, tested_on.photos, captions)
    return {
        "encoder": "starter",
        "photos": {"fitted on": len(fitted_on.photos), "tested on": len(tested_on.photos)},
        "captions": {"fitted on": len(fitted_on.captions), "tested on": len(tested_on.captions)},
        "reliability": {scope: asdict(report) for scope, report in reports.items()},
        "table": rows_of(reports),
        "asked": asked,
        "cost": await cost(fitted, encoder.info.dim),
        "targets_met": targets(reports, asked),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    begun = circumstances()
    report = asyncio.run(run(arguments.data))
    print(table(report["table"]))
    print(table(report["asked"]))
    print(report["cost"])
    print("\n".join(f"{name}: {value}" for name, value in report["targets_met"].items()))
    write_report(arguments.output, report, begun)


if __name__ == "__main__":
    main()
