"""Whether and where the page runs, and what is said of it."""

from __future__ import annotations

import pytest

from cluster import page
from cluster.page import api_url, page_line, page_obstacle, page_runs
from cluster.settings import load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSRAY_PAGE__ENABLED", raising=False)


def test_it_runs_where_it_is_installed_and_the_ingress_is_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "EXTRA", "json")  # a package that is there
    settings = load_settings("local")
    assert page_runs(settings)
    assert page_line(settings) == f"the web page: http://127.0.0.1:{settings.http.port}/ui/"
    monkeypatch.setenv("CROSSRAY_AUTH__REQUIRED", "true")
    assert page_runs(load_settings("local")), "it asks for a key by itself"
    monkeypatch.setenv("CROSSRAY_RAY__INGRESS", "proxy")
    assert page_obstacle(load_settings("local")) == "it needs ray.ingress: direct"


def test_without_its_extra_the_hint_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "EXTRA", "nonesuch_package")
    settings = load_settings("local")
    assert not page_runs(settings)
    assert page_line(settings) == "no web page: pip install 'crossray[page]', or make up"


def test_load_tests_of_the_serving_itself_go_without_it() -> None:
    assert page_obstacle(load_settings("fake")) == "page.enabled is off"


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000")])
def test_the_page_reaches_an_api_that_listens_everywhere(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_HTTP__HOST", host)
    monkeypatch.setenv("CROSSRAY_HTTP__PORT", "8000")
    assert api_url(load_settings("local")) == url
