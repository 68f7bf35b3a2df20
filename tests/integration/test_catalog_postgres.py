"""The catalog on a real PostgreSQL: readers and writers beside each other, which SQLite never lets happen."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from deployments.catalog.builds import BuildLost, Builds, touch
from deployments.catalog.catalog import Catalog
from deployments.catalog.versions import BuildOptions, Plan, Report
from deployments.database import Database
from deployments.errors import Conflict, NotFound
from encoders.fake import FakeEncoder
from loadtests.postgres_server import PostgresServer, missing_for_postgres

pytestmark = pytest.mark.skipif(missing_for_postgres() is not None, reason=str(missing_for_postgres()))
TRAFFIC_S = 3.0


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with PostgresServer() as server:
        yield server.url


def plan() -> Plan:
    info = FakeEncoder(16).info
    return Plan(info.name, info.contract, "memory")


def test_readers_beside_all_that_changes_versions_never_see_half_of_it(url: str) -> None:
    database = Database(url)
    catalog, ends = Catalog(database), time.monotonic() + TRAFFIC_S
    catalog.ensure_default(plan(), place="first")
    faults: list[BaseException] = []
    swaps: list[int] = []

    def again(step: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            while time.monotonic() < ends and not faults:
                try:
                    step()
                except (NotFound, Conflict, BuildLost):
                    continue
                except BaseException as error:
                    faults.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def read() -> None:
        for name, collection in catalog.collections().items():
            assert collection.name == name
            assert collection.live in collection.versions
        assert "default" in catalog.collections()

    def come_and_go() -> None:
        catalog.create("other", plan())
        catalog.delete_collection("other")
        for version in catalog.in_state("dropping"):
            catalog.forget(version.id)

    def build() -> None:
        builds = Builds(catalog, "builder")
        live = catalog.collections()["default"].live.id
        catalog.begin_build("default", plan(), BuildOptions(keep=False))
        version = builds.claim()
        assert version is not None
        builds.note(version.id, Report("walking"))
        while True:
            builds.settle(version.id, [seq for seq, _ in builds.journal(version.id, 100)])
            if builds.swap(version.id, live, Report("swapped")) == "swapped":
                swaps.append(version.id)
                return

    def write() -> None:
        touch(catalog, "default", catalog.collections()["default"].live.id, ["a", "b"])

    threads = [again(step) for step in (read, read, come_and_go, build, write, write)]
    for thread in threads:
        thread.join(60)
    database.close()
    assert faults == []
    assert swaps


def test_a_swap_waits_for_a_writer_s_entry_instead_of_blocking_it(url: str) -> None:
    database = Database(url)
    catalog = Catalog(database)
    with contextlib.suppress(Conflict):
        catalog.create("one", plan())
    live = catalog.collections()["one"].live.id
    version = catalog.begin_build("one", plan(), BuildOptions()).id
    builds = Builds(catalog, "builder")
    while (claimed := builds.claim()) is not None and claimed.id != version:
        pass
    answers: list[str] = []

    def swap() -> None:
        answers.append(builds.swap(version, live, Report()))

    with database._engine.begin() as writer:  # what `touch` does, with a swap that begins in the middle of it
        writer.exec_driver_sql("SELECT live FROM collections WHERE name = 'one' FOR SHARE")
        swapping = threading.Thread(target=swap)
        swapping.start()
        time.sleep(0.5)
        writer.exec_driver_sql(f"INSERT INTO touched_items (version, item) VALUES ({version}, 'x')")
    swapping.join(20)
    assert answers == ["touched"]
    assert [item for _, item in builds.journal(version, 10)] == ["x"]
    database.close()
