"""Jobs in a real browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.system.clusters import Cluster
from tests.system.web.visit import Visit


def test_photos_as_a_job_and_its_errors(
    visit: Visit, photos: dict[str, Path], tmp_path: Path, page_cluster: Cluster
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    visit.open()
    visit.tab("Index")
    visit.page.locator("#add-files input[type=file]").set_input_files([photos["rocket.jpg"], broken])
    expect(visit.page.locator("#add-files")).to_contain_text("broken")
    visit.page.locator("#add-as-job input").check()
    visit.page.locator("#add-button").click()
    expect(visit.page.locator("#add-outcome")).to_contain_text("has 2 items")
    job = visit.page.locator("#jobs-view .cr-job").first
    expect(job).to_contain_text("2 of 2 items have ended")
    expect(job).to_contain_text("1 stored, 1 failed")
    expect(job.locator("details")).to_contain_text("broken.jpg: ")
    visit.must_be_accessible("index")
    visit.shot("jobs")

    card = visit.page.locator("#browse-items .cr-card", has_text="rocket.jpg")
    visit.page.once("dialog", lambda dialog: dialog.dismiss())
    card.get_by_role("button", name="Delete rocket.jpg").click()
    with page_cluster.http() as http:
        assert "rocket.jpg" in [item["source"] for item in http.get("/v1/items").json()["items"]], (
            "it was not confirmed"
        )
