"""`crossray collections` and `crossray reindex`: what there is, and building it anew beside live traffic."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.cli.connection import CollectionOption, JsonOption, UrlOption, connect
from cluster.cli.output import progress, remark, results, with_examples, write_json
from cluster.errors import ClusterError

if TYPE_CHECKING:
    from cluster.client import Client
    from deployments.schemas.collections import CollectionAnswer, VersionAnswer

POLL_S = 0.5
UNDER_WAY = ("building", "swapping")
REINDEX_HELP = """Build a new version of a collection beside the live one; checked, it takes over without a pause.

Another encoder (one of those that run), fewer dimensions, another index type or another back end. Vectors are kept
where the encoder is the same; otherwise everything is encoded again from what is stored. What is written meanwhile is
in the new version too. The version that was live is kept: `crossray collections promote` goes back to it, with what
was written since.

Ctrl-C ends the build, and nothing of it is left; `--detach` leaves it to the server.

**Examples**

    crossray reindex --index-type hnsw
    crossray reindex --encoder qwen3-vl --min-recall 0.97
    crossray reindex --collection holidays --dim 512 --no-keep"""

HELP = with_examples(
    "Collections and their versions.",
    "crossray collections list",
    "crossray collections create holidays",
    "crossray index ~/Pictures --collection holidays",
    "crossray reindex --collection holidays --index-type hnsw",
    "crossray collections show holidays",
)

MinRecall = Annotated[float, typer.Option(min=0, max=1, help="Recall@10 below which the version does not take over.")]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="Keep the version that was live.")]
MaxFailed = Annotated[int, typer.Option(min=0, help="Items that may be lost because they cannot be encoded.")]


def register(app: typer.Typer) -> None:
    app.command(help=REINDEX_HELP, rich_help_panel="Quality and data")(reindex)
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="markdown")
    for name, command, text, example in (
        ("list", list_command, "All collections, and the version that answers for each.", "list"),
        ("show", show, "One collection: its versions, their rows, checks and live recall.", "show holidays"),
        ("create", create, "Make a collection.", "create holidays --index-type hnsw"),
        ("delete", delete, "Delete a collection with its items and their files.", "delete holidays"),
        ("promote", promote, "Bring a kept version up to date, and have it take over.", "promote 3 -c holidays"),
        ("drop-version", drop_version, "End the build of a version, or delete one that was kept.", "drop-version 3"),
    ):
        group.command(name, help=with_examples(text, f"crossray collections {example}"))(command)
    app.add_typer(group, name="collections", rich_help_panel="Quality and data")


def reindex(
    collection: CollectionOption = "default",
    encoder: Annotated[str | None, typer.Option(help="One that runs, by name, checkpoint or fingerprint.")] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="Columns, where vectors may be shortened.")] = None,
    index_type: Annotated[str | None, typer.Option(help="flat, ivf-flat, ivf-sq8, hnsw or auto.")] = None,
    backend: Annotated[str | None, typer.Option(help="embedded or milvus.")] = None,
    min_recall: MinRecall = 0.95,
    probes: Annotated[int, typer.Option(min=1, max=5000, help="Stored items it is checked on.")] = 200,
    max_failed: MaxFailed = 0,
    keep: Keep = True,
    swap: Annotated[bool, typer.Option("--swap/--no-swap", help="Take over, or be left for `promote`.")] = True,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for it.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    wanted = {"encoder": encoder, "dim": dim, "index_type": index_type, "backend": backend}
    taking_over = {"min_recall": min_recall, "probes": probes, "max_failed": max_failed, "keep": keep, "swap": swap}
    with connect(url, patient=True) as client:
        _follow(client, collection, client.reindex(collection, **wanted, **taking_over), detach, as_json)


def promote(
    version: Annotated[int, typer.Argument(help="Its number.")],
    collection: CollectionOption = "default",
    min_recall: MinRecall = 0.95,
    max_failed: MaxFailed = 0,
    keep: Keep = True,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for it.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    with connect(url, patient=True) as client:
        begun = client.promote(collection, version, min_recall=min_recall, max_failed=max_failed, keep=keep)
        _follow(client, collection, begun, detach, as_json)


def list_command(url: UrlOption = None, as_json: JsonOption = False) -> None:
    with connect(url) as client:
        found = client.collections()
    if as_json:
        write_json([one.model_dump() for one in found])
        return
    for one in found:
        live = next(version for version in one.versions if version.id == one.live)
        others = ", ".join(f"{v.id} {v.state}" for v in one.versions if v.id != one.live)
        results().print(f"{one.name}: version {live.id}, {_made(live)}" + (f" (also {others})" if others else ""))


def show(
    name: Annotated[str, typer.Argument(help="The collection.")] = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    with connect(url) as client:
        _show(client.collection(name), as_json)


def create(
    name: Annotated[str, typer.Argument(help="Small letters, digits, - and _.")],
    encoder: Annotated[str | None, typer.Option(help="One that runs; else the settings'.")] = None,
    dim: Annotated[int | None, typer.Option(min=1, help="Columns, where vectors may be shortened.")] = None,
    index_type: Annotated[str | None, typer.Option(help="flat, ivf-flat, ivf-sq8, hnsw or auto.")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    with connect(url) as client:
        _show(client.create_collection(name, encoder=encoder, dim=dim, index_type=index_type), as_json)


def delete(
    name: Annotated[str, typer.Argument(help="The collection.")], url: UrlOption = None, as_json: JsonOption = False
) -> None:
    with connect(url) as client:
        client.delete_collection(name)
    if as_json:
        write_json({"name": name, "deleted": True})
    else:
        results().print(f"{name} is gone; its files follow")


def drop_version(
    version: Annotated[int, typer.Argument(help="Its number.")],
    collection: CollectionOption = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    with connect(url) as client:
        client.drop_version(collection, version)
    if as_json:
        write_json({"name": collection, "version": version, "deleted": True})
    else:
        results().print(f"version {version} of {collection} goes")


def _follow(client: Client, collection: str, version: VersionAnswer, detach: bool, as_json: bool) -> None:
    """To the end of the build. Exits with 1 where it did not take over though it was to."""
    if not detach:
        try:
            version = _await(client, collection, version)
        except KeyboardInterrupt:
            client.drop_version(collection, version.id)
            remark(f"the build of version {version.id} was ended")
            raise
    if as_json:
        write_json(version.model_dump())
    else:
        _say(version)
    if version.build.phase == "refused":
        raise typer.Exit(1)


def _await(client: Client, collection: str, version: VersionAnswer) -> VersionAnswer:
    with progress(f"Version {version.id}", None) as advance:
        while version.state in UNDER_WAY:
            time.sleep(POLL_S)
            found = [one for one in client.collection(collection).versions if one.id == version.id]
            if not found:
                raise ClusterError(f"the build of version {version.id} was ended by somebody else")
            advance(found[0].build.done - version.build.done)
            version = found[0]
    return version


def _say(version: VersionAnswer) -> None:
    build = version.build
    parts = [f"version {version.id} is {version.state}: {_made(version)}"]
    if build.recall is not None:
        parts.append(f"recall@10 {build.recall:.4f} on {build.probes} items")
    if build.agreement is not None:
        parts.append(f"{100 * build.agreement:.0f} % of the ten nearest as before")
    if build.detail:
        parts.append(build.detail)
    results().print(", ".join(parts))
    if build.phase == "refused":
        remark(f"it did not take over: crossray collections promote {version.id}, or drop-version {version.id}")
    for failure in build.failures:
        remark(f"  {failure.id}: {failure.reason}")


def _show(collection: CollectionAnswer, as_json: bool) -> None:
    if as_json:
        write_json(collection.model_dump())
        return
    for version in collection.versions:
        canary = f", recall@10 {version.canary.recall:.4f} live" if version.canary is not None else ""
        results().print(f"{version.id:>4} {version.state:<8} {version.count or 0:>10,} items, {_made(version)}{canary}")


def _made(version: VersionAnswer | Any) -> str:
    kind = version.index.get("type", "")
    return f"{version.encoder} {version.fingerprint}, {version.dim} columns, {version.backend} {kind}".rstrip()
