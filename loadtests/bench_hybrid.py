"""Pages with text, searched by vector, by words, and by both: how often the right page comes first.

    python -m loadtests.bench_hybrid [--output FILE]

Small pages are drawn here, half English and half Chinese, four words of a list on each. They are stored as photos of
pages are: a vector of the starter encoder, and the text that RapidOCR reads off them. Each page is asked for by words
that no other page has together: one word where it is the page's alone (in Chinese a word of two characters), two words,
and a sentence around two words. R@1 is the share of queries whose page is the first hit; chance is one in the pages.
The same rankings are also fused with other constants and weights, the paper's (60, 1) among them.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.rewriting import NO_REWRITING, QueryRewriter
from deployments.schemas.search import SearchRequest
from deployments.search import SearchService
from deployments.stages import Stages
from encoders import Encoder, EncoderInput, encode
from encoders.enhance import Enhancement
from encoders.ocr import RapidReader, read_page
from encoders.queries import prompt_for
from loadtests.encoder_cost import open_encoder
from loadtests.made_up_pages import draw, font_path
from loadtests.report import circumstances, table, write_report
from retrieval import Payload, Record, VectorIndex, open_index
from retrieval.fusion import RANK_CONSTANT, TEXT_WEIGHT, fuse

Language = Literal["en", "zh"]
MODES = ("dense", "text", "hybrid")
TOP_K = 10
FUSED_DEPTH = 100
FUSIONS = tuple((constant, weight) for constant in (60, 10, RANK_CONSTANT) for weight in (1.0, TEXT_WEIGHT))
"""Constants and weights of the words that are compared."""
WORDS_A_PAGE = 4
WORDS: dict[Language, tuple[str, ...]] = {
    "en": (
        "harbour", "bakery", "apricot", "almonds", "ferry", "bicycle", "lantern", "museum", "ticket", "platform",
        "orchard", "library", "umbrella", "violin", "garden", "compass", "market", "blanket", "pepper", "bridge",
        "kettle", "castle", "pencil", "island", "mirror", "saddle", "forest", "candle", "ladder", "window",
    ),
    "zh": (
        "面馆", "黄瓜", "轮渡", "甲板", "船票", "桂花", "牛肉", "图书", "雨伞", "月台",
        "果园", "市场", "地图", "花园", "毛毯", "胡椒", "大桥", "水壶", "城堡", "铅笔",
        "海岛", "镜子", "马鞍", "森林", "蜡烛", "梯子", "窗户", "灯笼", "车站", "邮局",
    ),
}  # fmt: skip
SENTENCES: dict[Language, str] = {"en": "the page that mentions a {} and a {}", "zh": "写着{}和{}的那一页"}
BETWEEN: dict[Language, str] = {"en": " ", "zh": ""}


@dataclass(frozen=True)
class Page:
    id: str
    language: Language
    words: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    kind: str
    language: Language
    text: str
    page: str


def make_pages(count: int) -> list[Page]:
    """Of each language half of them; no two pages share two words."""
    random = np.random.default_rng(5)
    pages: list[Page] = []
    for language in WORDS:
        pairs: set[frozenset[str]] = set()
        while sum(page.language == language for page in pages) < count // 2:
            words = tuple(str(word) for word in random.choice(WORDS[language], WORDS_A_PAGE, replace=False))
            new = {frozenset((a, b)) for a in words for b in words if a < b}
            if not new & pairs:
                pairs |= new
                pages.append(Page(f"{language}-{len(pages):03}", language, words))
    return pages


def ask_for(pages: Sequence[Page]) -> list[Question]:
    """Three questions a page, or two where each of its words is on another page too."""
    questions = []
    for page in pages:
        first, second, *_ = page.words
        others = [other for other in pages if other is not page]
        rare = [word for word in page.words if not any(word in other.words for other in others)]
        questions += [Question("one word", page.language, rare[0], page.id)] if rare else []
        pair = BETWEEN[page.language].join((first, second))
        questions.append(Question("two words", page.language, pair, page.id))
        questions.append(Question("sentence", page.language, SENTENCES[page.language].format(first, second), page.id))
    return questions


async def store(pages: Sequence[Page], encoder: Encoder, index: VectorIndex, font: Path) -> float:
    """The share of the pages' words that were read right."""
    reader, right = RapidReader(), 0
    for page in pages:
        picture = Image.fromarray(draw(tuple((word,) for word in page.words), font))
        text = read_page(reader, picture, Enhancement()).text
        right += sum(word in text for word in page.words)
        file = io.BytesIO()
        picture.save(file, "PNG")
        vector = encode(encoder, [EncoderInput(image=file.getvalue())], "document").unwrap()[0]
        await index.upsert([Record(page.id, vector, Payload(kind="image", source=page.id, ocr_text=text))])
    return right / (WORDS_A_PAGE * len(pages))


async def measure(service: SearchService, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """A row a language and kind of question: R@1 and R@10 of each mode, in percent."""
    places: dict[tuple[str, str], list[dict[str, int | None]]] = {}
    for question in questions:
        found: dict[str, int | None] = {}
        for mode in MODES:
            request = SearchRequest.model_validate({"text": question.text, "mode": mode, "top_k": TOP_K})
            ids = [hit.id for hit in (await service.search(request, Stages())).hits]
            found[mode] = ids.index(question.page) + 1 if question.page in ids else None
        places.setdefault((question.language, question.kind), []).append(found)
        places.setdefault(("all", "all"), []).append(found)
    return [
        {"language": language, "question": kind, "questions": len(rows)}
        | {f"{mode} R@1": 100 * float(np.mean([row[mode] == 1 for row in rows])) for mode in MODES}
        | {f"{mode} R@{TOP_K}": 100 * float(np.mean([row[mode] is not None for row in rows])) for mode in MODES}
        for (language, kind), rows in places.items()
    ]


async def compare_fusions(service: SearchService, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """A row a fusion: R@1 in percent over all questions, of the same two rankings."""
    rankings: list[dict[str, list[str]]] = []
    for question in questions:
        found = {}
        for mode in ("dense", "text"):
            body = {"text": question.text, "mode": mode, "top_k": FUSED_DEPTH}
            found[mode] = [hit.id for hit in (await service.search(SearchRequest.model_validate(body), Stages())).hits]
        rankings.append(found)
    rows = []
    for constant, weight in FUSIONS:
        firsts = [fuse(found, {"text": weight}, constant)[0].id for found in rankings]
        right = [id == question.page for id, question in zip(firsts, questions, strict=True)]
        rows.append({"constant": constant, "weight of words": weight, "hybrid R@1": 100 * float(np.mean(right))})
    return rows


async def run(count: int, folder: Path, font: Path) -> dict[str, Any]:
    encoder = open_encoder("starter")
    info = encoder.info
    index = await open_index("embedded", dim=info.dim, contract_json=info.contract.to_json(), path=folder)
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    rewriter = QueryRewriter(prompt_for(info.name), NO_REWRITING, None, on_done=lambda did: None)
    service = SearchService(LocalEncoder(worker), LocalIndex(index), info, rewriter=rewriter)
    pages = make_pages(count)
    read = await store(pages, encoder, index, font)
    rows = await measure(service, ask_for(pages))
    fusions = await compare_fusions(service, ask_for(pages))
    await worker.close()
    await index.close()
    overall = next(row for row in rows if row["language"] == "all")
    met = {"hybrid R@1 over dense R@1": overall["hybrid R@1"] > overall["dense R@1"]}
    return {
        "pages": count,
        "words_read_right": read,
        "encoder": "starter",
        "recall": rows,
        "fusions": fusions,
        "targets_met": met,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if (font := font_path()) is None:
        raise SystemExit("the font for the pages is not installed: pip install 'crossray[test]'")
    begun = circumstances()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(arguments.pages, Path(folder), font))
    print(table(report["recall"]))
    print(table(report["fusions"]))
    chance = 1 / report["pages"]
    print(f"{report['words_read_right']:.1%} of the words were read right; a first place by chance: {chance:.1%}")
    print("\n".join(f"{name}: {value}" for name, value in report["targets_met"].items()))
    write_report(arguments.output, report, begun)


if __name__ == "__main__":
    main()
