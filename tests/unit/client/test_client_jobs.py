"""Jobs through both clients and the command line, against the real application."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cluster.cli import build_app
from crossray_client import NewItem, NotFound
from tests.unit.client.conftest import picture
from tests.unit.deployments.job_stack import zipped


def test_a_job_from_its_creation_to_its_end(client: Any) -> None:
    seen: list[str] = []
    items = [NewItem(text="a boat", tags=["own"]), NewItem(image=picture("red")), NewItem(text="poison")]
    created = client.create_job(items, tags=["all"], metadata={"year": 2024})
    assert (created.total, created.tags, created.metadata) == (3, ["all"], {"year": 2024})
    job = client.wait_for_job(created.id, every_s=0.05, on_progress=lambda one: seen.append(one.state))
    assert (job.state, job.counts["done"], job.counts["failed"], seen[-1]) == ("done", 2, 1, "done")
    assert [error.error_code for error in job.errors] == ["refused"]
    page = client.job_items(job.id, "done", limit=1)
    assert (len(page.items), page.next) == (1, 0)
    assert client.get(page.items[0].item_id).tags == ["all", "own"]
    assert job.id in {one.id for one in client.all_jobs(limit=1)}
    assert client.cancel_job(job.id).state == "done"
    assert client.retry_job(job.id).state == "done"


def test_uploads(client: Any, photo: Callable[[str], Path], tmp_path: Path) -> None:
    packed = tmp_path / "all.zip"
    packed.write_bytes(zipped({"inner.png": picture("yellow"), "note.txt": b"a note of jobs"}))
    created = client.upload_job([photo("blue"), picture("pink")], archive=packed, tags=["up"], metadata={"n": 1})
    job = client.wait_for_job(created.id, every_s=0.05)
    assert (job.state, job.counts["done"]) == ("done", 4)
    names = [item.name for item in client.job_items(job.id).items]
    assert names == ["blue.png", "files[1]", "inner.png", "note.txt"]


def test_a_job_that_is_not_there(client: Any) -> None:
    with pytest.raises(NotFound):
        client.job("nothing")
    with pytest.raises(ValueError, match="no job's id"):
        client.job("../items")


def crossray(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(build_app(), ["jobs", *arguments, "--url", url])


def test_the_commands(client: Any, url: str) -> None:
    id = client.create_job([NewItem(text="a boat"), NewItem(text="poison")]).id
    waited = crossray(url, "wait", id)
    assert waited.exit_code == 0, waited.output
    assert "done: 1 done, 1 failed of 2" in waited.output
    assert "refused" in crossray(url, "errors", id).output
    assert json.loads(crossray(url, "errors", id, "--json").stdout)[0]["name"] == "items[1]"
    assert id in crossray(url, "list").output
    assert json.loads(crossray(url, "show", id, "--json").stdout)["counts"]["done"] == 1
    for command in ("cancel", "retry"):
        assert json.loads(crossray(url, command, id, "--json").stdout)["state"] == "done"
    bad = client.create_job([NewItem(text="poison")]).id
    assert crossray(url, "wait", bad).exit_code == 1


def test_jobs_made_by_the_command(url: str, photo: Callable[[str], Path], tmp_path: Path) -> None:
    """An archive beside a file, a list of URLs that are not fetched here, and what is refused."""
    packed, listed, bad = tmp_path / "all.tar.gz", tmp_path / "urls.txt", tmp_path / "note.txt"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(photo("teal"), "inner.png")
    bad.write_text("poison")
    made = crossray(url, "create", str(packed), str(photo("navy")), "--tag", "year=2024", "--json")
    job = json.loads(made.stdout)
    assert (made.exit_code, job["state"], job["counts"]["done"]) == (0, "done", 2), made.output
    assert job["metadata"] == {"year": 2024}
    listed.write_text("# those of May\nhttps://a.test/1.jpg\n\n https://a.test/2.jpg \n")
    made = crossray(url, "create", "--urls", str(listed), "--id", "of-urls", "--json")
    assert (made.exit_code, json.loads(made.stdout)["counts"]["failed"]) == (1, 2), made.output
    again = crossray(url, "create", "--urls", str(listed), "--id", "of-urls", "--detach", "--json")
    assert (again.exit_code, json.loads(again.stdout)["id"]) == (1, "of-urls"), "that very job, which had failed"
    assert crossray(url, "create", str(bad)).exit_code == 1
    later = crossray(url, "create", str(bad), "--detach", "--json")
    assert (later.exit_code, json.loads(later.stdout)["total"]) == (0, 1)
    assert crossray(url, "create", str(bad), "-c", "none").exception.code == "collection_not_found"
    assert crossray(url, "create", "--folder", "/etc").exception.status == 403


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give files, --folder or --urls"),
        (["a.txt", "--folder", "/photos"], "files are one job"),
        (["a.zip", "b.tar"], "one archive a job"),
        (["."], "is a folder: crossray index ."),
        (["missing.txt"], "does not exist"),
    ],
)
def test_jobs_that_the_command_refuses(
    url: str, arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "a.zip", "b.tar"):
        (tmp_path / name).write_text("a")
    refused = crossray(url, "create", *arguments)
    assert (refused.exit_code, told in refused.output) == (2, True), refused.output
