"""The web page after its process was killed. After what wants the page as it was."""

from __future__ import annotations

from tests.system.clusters import Cluster, wait_until
from tests.system.web.visit import Visit


def test_a_page_whose_process_was_killed_comes_back(visit: Visit, page_cluster: Cluster) -> None:
    replica = page_cluster.replica("Page")
    assert replica is not None
    replica.kill()
    with page_cluster.http() as http:
        assert http.get("/health/ready").status_code == 200, "the API does not need the page"
        wait_until(lambda: http.get("/ui/").status_code == 200, "the page is back")
    visit.open()
