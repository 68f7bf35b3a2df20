"""`crossray search`: ranked answers to a text, an image or a stored item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cluster.cli.connection import CollectionOption, JsonOption, UrlOption, connect
from cluster.cli.output import remark, results, write_json
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from cluster.client import Client
    from deployments.schemas.search import HitAnswer, SearchAnswer

HELP = """Search what was indexed: by words in any language the encoder knows, by a photo, or by a stored item.

A text and an image together are one query made of both.

**Examples**

    crossray search "a dog running on a beach"
    crossray search 海边的狗 --target image --top-k 20
    crossray search --image photo.jpg --html alike.html
    crossray search --id 3f2a… --target text
    crossray search --mix "text:a street" --mix "text:at night@-0.5" --mix image:photo.jpg@2 --mix id:3f2a…
    crossray search "a red boat" --group-duplicates --min-relevance 0.1
    crossray search "a red boat" --filter 'year>=2020, place=Oslo, tags=holiday'
    crossray search "a red boat" --filter '{"or": [{"field": "year", "op": "lt", "value": 2000}, …]}'
    crossray search "please show me photos of dogs" --rewrite template
    crossray search "a dog that carries a stick" --rerank
    crossray search "a dog that carries a stick" --rerank-depth 50 --rerank-deadline 5000 --rerank-margin 2

**A mix** is one query made of several texts, images and stored items: the sum of their vectors, each as often as its
weight says (1 where it says nothing), and away from those of a negative weight.

**Relevance** needs `crossray calibrate`. Where nothing is likely relevant a line below the answers says so.

**Rewriting** puts the words of the query to the encoder in another form: `template` drops what merely asks ("please
show me") by rules, `model` has a language model read what is asked for. It is not applied to a query with an image.

**Reranking** has a second model read the query beside each of the first answers, which is slower and finer. The server
must run one (the qwen-rerank profile, or rerank.enabled). It is skipped where it would not be back before the
deadline, or where the first answers lie further apart than the margin; a line below them says what was done and why."""


def register(app: typer.Typer) -> None:
    app.command(help=HELP, rich_help_panel="Search")(search)


def search(
    text: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    image: Annotated[
        Path | None, typer.Option(help="Look for what is like this file.", exists=True, dir_okay=False, readable=True)
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Look for neighbours of this stored item.")] = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            help="A part of a mix: `text:…`, `image:FILE` or `id:…`, and `@WEIGHT` at its end. May be repeated.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        Literal["image", "text", "any"], typer.Option(help="What to find: items with an image, with a text, or any.")
    ] = "any",
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, max=1000, help="How many answers.")] = 10,
    filter: Annotated[
        str | None,
        typer.Option(
            help="Terms joined by commas (`k=v`, `!=`, `<`, `<=`, `>`, `>=`; all must hold; `tags=name`), or JSON."
        ),
    ] = None,
    min_score: Annotated[float | None, typer.Option(min=-1, max=1, help="Leave out answers below this cosine.")] = None,
    min_relevance: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave out answers of a lower match probability, or of none.")
    ] = None,
    group_duplicates: Annotated[
        bool, typer.Option("--group-duplicates", help="Show near-duplicates as one answer.", show_default=False)
    ] = False,
    duplicate_cosine: Annotated[
        float | None, typer.Option(min=0.5, max=1, help="From which cosine on they are. Implies --group-duplicates.")
    ] = None,
    mode: Annotated[
        Literal["dense", "text", "hybrid"],
        typer.Option(help="Search by vector, by the words of texts and of what was read off images, or by both."),
    ] = "dense",
    rewrite: Annotated[
        Literal["off", "template", "model"] | None,
        typer.Option(help="Search for these words in another form; what the server is set to, when not given."),
    ] = None,
    rerank: Annotated[
        bool | None,
        typer.Option("--rerank/--no-rerank", help="Have a second model order the first answers.", show_default=False),
    ] = None,
    rerank_depth: Annotated[
        int | None, typer.Option(min=1, max=100, help="Rerank so many of the first answers. Implies --rerank.")
    ] = None,
    rerank_deadline: Annotated[
        int | None,
        typer.Option(min=1, max=60_000, help="Milliseconds; after them the first order stands. Implies --rerank."),
    ] = None,
    rerank_margin: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=2,
            help="Rerank only where the first and the last answer's cosines differ by no more; 2 is always. "
            "Implies --rerank.",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a contact sheet, one self-contained file.")] = None,
    collection: CollectionOption = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    if [id is not None, text is not None or image is not None, bool(mix)].count(True) != 1:
        raise typer.BadParameter("give a text, --image FILE (or both), --id ID, or --mix … once or more")
    from cluster.terms import parse_filter_text, parse_part

    budget = {"depth": rerank_depth, "deadline_ms": rerank_deadline, "margin": rerank_margin}
    fields = _given(
        text=text,
        id=id,
        mix=[parse_part(part) for part in mix] if mix else None,
        target=target,
        top_k=top_k,
        filter=parse_filter_text(filter) if filter is not None else None,
        min_score=min_score,
        min_relevance=min_relevance,
        group_duplicates=duplicate_cosine or group_duplicates or None,
        mode=mode,
        rewrite=rewrite,
        rerank=_rerank(rerank, _given(**budget)),
    )
    with connect(url, collection=collection) as client:
        picture = image.read_bytes() if image is not None else None
        answer = _ask(client, fields, picture)
        if html is not None:
            _write_sheet(client, answer, html, _title(text, image, id, mix or []), picture)
            remark(f"contact sheet: {html}")
    if as_json:
        write_json(answer.model_dump(mode="json"))
    else:
        _show(answer)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _rerank(wanted: bool | None, budget: dict[str, Any]) -> bool | dict[str, Any] | None:
    """What the request says of reranking; None to leave it to the server."""
    if wanted is False and budget:
        raise typer.BadParameter("--no-rerank leaves nothing for the other --rerank options to say")
    return budget or wanted


def _ask(client: Client, fields: dict[str, Any], picture: bytes | None) -> SearchAnswer:
    if picture is None:
        return client.search(fields)
    form = {key: value if isinstance(value, str) else json.dumps(value) for key, value in fields.items()}
    return client.search_by_image(picture, form)


def _title(text: str | None, image: Path | None, id: str | None, mix: list[str]) -> str:
    parts = [text, image.name if image is not None else None, f"like {id}" if id is not None else None, *mix]
    return " + ".join(part for part in parts if part is not None)


def _show(answer: SearchAnswer) -> None:
    from rich.table import Table
    from rich.text import Text

    if not answer.hits:
        remark("nothing was found; crossray status says how much is indexed")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    shown = {"score": "score", "text_score": "words", "rerank_score": "rerank", "relevance": "relevance"}
    columns = [name for name in shown if any(getattr(hit, name) is not None for hit in answer.hits)]
    for name in columns:
        table.add_column(shown[name], justify="right")
    table.add_column("kind")
    table.add_column("found", overflow="fold")
    table.add_column("id", no_wrap=True)
    for rank, hit in enumerate(answer.hits, 1):
        scores = ["" if (value := getattr(hit, name)) is None else f"{value:.3f}" for name in columns]
        table.add_row(str(rank), *scores, hit.kind, Text(_label(hit)), hit.id)
    console = results()
    if answer.hits:
        console.print(table)
    if answer.nothing_relevant and answer.hits:
        remark(f"nothing here is likely relevant: {answer.relevance_reason}")
    if answer.rewritten_query is not None:
        remark(f"searched for: {answer.rewritten_query}")
    for stage in answer.stages:
        if stage.name == "rerank":
            remark(f"rerank: {stage.did}, first {stage.depth}" + (f" ({stage.reason})" if stage.reason else ""))
    stages = "  ".join(f"{name} {ms:.1f}" for name, ms in answer.timings_ms.items())
    remark(f"{answer.model}, ms: {stages}")


def _label(hit: HitAnswer) -> str:
    text = " ".join((hit.text or "").split())
    short = text if len(text) <= 100 else f"{text[:99]}…"
    alike = f"and {len(hit.duplicates)} like it" if hit.duplicates else ""
    return "  ".join(part for part in (short, f"({hit.source})" if text and hit.source else hit.source, alike) if part)


def _write_sheet(client: Client, answer: SearchAnswer, path: Path, title: str, picture: bytes | None) -> None:
    from cluster.contact_sheet import SheetSection, data_uri, render_sheet, sheet_hits
    from cluster.files import write_text

    section = SheetSection(
        title=title,
        hits=sheet_hits(client, answer),
        query_image=data_uri(picture, _mime(picture)) if picture is not None else None,
        note=f"{len(answer.hits)} answers, target {answer.target}",
        timings_ms=answer.timings_ms,
    )
    intro = f"Encoder {answer.model}, vector contract {answer.fingerprint}"
    write_text(path, render_sheet("Crossray search", intro, [section]))


def _mime(picture: bytes) -> str:
    from encoders.images import sniff

    mime = sniff(picture)
    if mime is None:
        raise ClusterError("the query is not an image of a kind that is taken")
    return mime
