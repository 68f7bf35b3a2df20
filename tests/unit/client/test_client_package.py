"""The package as such: what it loads, its errors, and that its answers are the API's."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import subprocess
import sys

import pytest
from pydantic import BaseModel

import crossray_client
from crossray_client import answers, calls
from crossray_client.decode import decode
from crossray_client.errors import ApiError, ClientClosed, FingerprintMismatch, NoAnswer, UnexpectedAnswer
from deployments.api import openapi
from deployments.schemas import collections, errors, items, jobs, match, rerank, search, status

AGREED: list[tuple[type, type[BaseModel]]] = [
    (answers.Hit, search.HitAnswer),
    (answers.Stage, search.StageAnswer),
    (answers.Rewrite, search.RewriteAnswer),
    (answers.Search, search.SearchAnswer),
    (answers.Item, items.ItemAnswer),
    (answers.Stored, items.StoredAnswer),
    (answers.ItemPage, items.ItemPage),
    (answers.Job, jobs.JobAnswer),
    (answers.JobItem, jobs.JobItemAnswer),
    (answers.JobPage, jobs.JobPage),
    (answers.JobItemPage, jobs.JobItemPage),
    (answers.FailedItem, collections.FailedItem),
    (answers.Build, collections.BuildAnswer),
    (answers.Canary, collections.CanaryAnswer),
    (answers.Version, collections.VersionAnswer),
    (answers.Collection, collections.CollectionAnswer),
    (answers.Collections, collections.CollectionsAnswer),
    (answers.DeletedCollection, collections.DeletedCollection),
    (answers.DroppedVersion, collections.DroppedVersion),
    (answers.Lookup, items.LookupAnswer),
    (answers.Deleted, items.DeletedAnswer),
    (answers.Failure, errors.ErrorDetail),
    (answers.Match, match.MatchAnswer),
    (answers.RankedDocument, rerank.RerankedDocument),
    (answers.Ranked, rerank.RerankResult),
    (answers.Reranked, rerank.RerankAnswer),
    (answers.Model, status.ModelAnswer),
    (answers.Models, status.ModelsAnswer),
    (answers.Health, status.HealthAnswer),
    (answers.Status, status.StatusAnswer),
    (answers.Deployment, status.DeploymentAnswer),
    (answers.Calls, status.CallsAnswer),
    (answers.Lookups, status.LookupsAnswer),
]


@pytest.mark.parametrize(("ours", "theirs"), AGREED, ids=lambda kind: kind.__name__)
def test_the_client_has_every_field_of_the_api(ours: type, theirs: type[BaseModel]) -> None:
    """A field that the API gains is missing here until the client has it too."""
    assert {field.name for field in dataclasses.fields(ours)} == set(theirs.model_fields) - {"object"}


TAKEN: list[tuple[str, list[type[BaseModel]], set[str]]] = [
    # Both are the client's own: it pins a fingerprint once, for every call.
    ("search", [search.SearchRequest], {"fingerprint", "contract"}),
    ("create_collection", [collections.NewCollection], set()),
    ("reindex", [collections.ReindexRequest], set()),
    ("promote", [collections.PromoteRequest], set()),
    ("match", [match.MatchRequest], set()),
    ("rerank", [rerank.RerankRequest], set()),
    ("lookup", [items.LookupRequest], set()),
    ("create_job", [jobs.JobRequest], set()),
    ("upload_job", [jobs.JobOptions], set()),
]
OF_A_PATH = {"reindex": {"name"}, "promote": {"name", "version"}, "upload_job": {"files", "archive"}}


@pytest.mark.parametrize(("call", "bodies", "left_out"), TAKEN, ids=lambda one: one if isinstance(one, str) else "")
def test_a_call_takes_every_field_of_the_api(call: str, bodies: list[type[BaseModel]], left_out: set[str]) -> None:
    ours = set(inspect.signature(getattr(crossray_client.Client, call)).parameters) - {"self"}
    theirs = {field for body in bodies for field in body.model_fields}
    assert ours - OF_A_PATH.get(call, set()) == theirs - left_out


def test_items_and_parts_have_every_field_of_the_api() -> None:
    assert {field.name for field in dataclasses.fields(crossray_client.Part)} == set(search.Part.model_fields)
    new = {field.name for field in dataclasses.fields(crossray_client.NewItem)}
    assert new == set(items.Item.model_fields) - {"contract"}


def test_it_loads_nothing_heavy_and_nothing_of_ours() -> None:
    script = (
        "import sys, crossray_client\n"
        "heavy = {'numpy', 'torch', 'ray', 'pydantic', 'PIL', 'fastapi', 'encoders', 'retrieval', 'deployments',"
        " 'cluster'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout, ran.stderr) == ("\n", "")


def test_every_call_of_the_api_has_a_method() -> None:
    sent = {
        "search": calls.search("a"),
        "store": calls.store(crossray_client.NewItem(text="a")),
        "store_batch": calls.store_batch([]),
        "get": calls.get("a"),
        "page": calls.page(),
        "delete": calls.delete("a"),
        "image": calls.image("a"),
        "thumbnail": calls.thumbnail("a"),
        "lookup": calls.lookup([]),
        "embed": calls.embed("a"),
        "match": calls.match([], []),
        "rerank": calls.rerank("a", []),
        "create_job": calls.create_job(),
        "upload_job": calls.upload_job(),
        "jobs": calls.jobs(),
        "job": calls.job("a"),
        "job_items": calls.job_items("a"),
        "retry_job": calls.retry_job("a"),
        "cancel_job": calls.cancel_job("a"),
        "collections": calls.collections(),
        "collection": calls.collection("a"),
        "create_collection": calls.create_collection("a"),
        "delete_collection": calls.delete_collection("a"),
        "reindex": calls.reindex("a"),
        "promote": calls.promote("a", 1),
        "drop_version": calls.drop_version("a", 1),
        "models": calls.models(),
        "status": calls.status(),
        "health": calls.health(),
        "alive": calls.alive(),
    }
    assert set(sent) == set(calls.__all__) - {"Call"}
    assert all(hasattr(crossray_client.Client, name) for name in sent)
    told = [(call.method, call.path) for call in sent.values()]
    routes = {(method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods}
    for method, path in routes:
        pattern = re.compile(re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(path)))
        assert any(method == other and pattern.fullmatch(sent_to) for other, sent_to in told), f"{method} {path}"
    assert len(routes) >= 27


def test_both_clients_have_the_same_calls() -> None:
    sync, other = (
        {name for name in dir(kind) if name[0] != "_"} for kind in (crossray_client.Client, crossray_client.AsyncClient)
    )
    assert sync == other


@pytest.mark.parametrize(
    "error",
    [
        NoAnswer("http://server", "reset", False),
        ClientClosed("http://server", "closed"),
        UnexpectedAnswer("http://server", "what?"),
        ApiError(429, "overloaded", "full", "text", "rate_limit_error", 2.0),
        FingerprintMismatch(409, "fingerprint_mismatch", "other", "fingerprint", "conflict_error", "f00"),
    ],
)
def test_errors_survive_a_process_boundary(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))
    assert vars(type(error)(*error.args)) == vars(error)


HEALTH = {"status": "ok", "encoder": "fake", "count": 3}


def test_a_newer_servers_fields_are_passed_over() -> None:
    assert decode(answers.Health, HEALTH | {"new": 1}) == answers.Health(status="ok", encoder="fake", count=3)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "answer.status is missing"),
        (HEALTH | {"status": 1}, "answer.status is int, not str"),
        (HEALTH | {"count": "3"}, "answer.count is str, not int"),
        (HEALTH | {"count": True}, "answer.count is bool, not int"),
        ([], "answer is list, not an object"),
    ],
)
def test_what_does_not_fit_is_named(body: object, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}"):
        decode(answers.Health, body)


def test_types_of_metadata_are_kept() -> None:
    metadata = {"a": 1, "b": 1.5, "c": True, "d": "1"}
    item = decode(answers.Item, {"id": "a", "kind": "text", "metadata": metadata, "vector": [1, 0.5]})
    assert [(type(value), value) for value in item.metadata.values()] == [(type(v), v) for v in metadata.values()]
    assert item.vector == [1.0, 0.5]
