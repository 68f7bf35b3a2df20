"""The web page once there are API keys. The very last of this folder: from the first key on every call needs one."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

from tests.system.clusters import Cluster, crossray, wait_until
from tests.system.web.visit import Visit


def made_key(cluster: Cluster, scope: str) -> str:
    made = crossray("keys", "create", "--name", scope, "--scope", scope, env=cluster.env)
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]


def test_a_person_logs_in_with_a_key_and_out_again(
    visit: Visit, page_cluster: Cluster, photos: dict[str, object]
) -> None:
    page = visit.page
    key = made_key(page_cluster, "read")
    with page_cluster.http() as http:
        wait_until(lambda: http.get("/v1/models").status_code == 401, "calls need a key")
        assert http.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        id = http.get("/v1/items?limit=1", headers={"X-API-Key": key}).json()["items"][0]["id"]
        assert_needs_a_cookie(http, f"/ui/v1/items/{id}/thumbnail", key)

    page.goto(f"{visit.url}/ui/")
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("There is no such API key.")
    visit.shot("login")
    assert [error for error in visit.errors if "401" not in error] == []
    visit.errors.clear()

    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#search-results .cr-note")).to_be_visible()
    assert page.evaluate("document.cookie") == "", "no script reads the key"
    pictures = visit.search("a cup of coffee").locator("img")
    expect(pictures.first).to_have_attribute("src", re.compile("^v1/items/.+/thumbnail"))
    wait_until(lambda: bool(pictures.first.evaluate("image => image.naturalWidth > 0")), "the photo is loaded")

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.context.cookies() == []


def assert_needs_a_cookie(http: httpx.Client, picture: str, key: str) -> None:
    cookie = {"Cookie": f"crossray_key={key}"}
    assert http.get(picture).status_code == 401
    assert http.get(picture, headers=cookie).status_code == 200
    assert http.get(picture, headers=cookie | {"Sec-Fetch-Site": "cross-site"}).status_code == 401
    assert http.get("/v1/models", headers=cookie).status_code == 401, "it counts for the page alone"
