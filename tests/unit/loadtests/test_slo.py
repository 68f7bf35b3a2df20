"""The gate of a load test: what is let pass, what is not, and what is said of it."""

from __future__ import annotations

import pytest

from loadtests.slo import DELETE, SEARCH_IMAGE, SEARCH_TEXT, UPLOAD, Endpoint, Limits, violations


def good(answered: int = 1000) -> Endpoint:
    return Endpoint(answered=answered, p50_ms=20, p95_ms=50, p99_ms=90)


def test_a_good_run_violates_nothing() -> None:
    assert violations({name: good() for name in (SEARCH_TEXT, SEARCH_IMAGE, UPLOAD, DELETE)}, Limits()) == []


def test_what_is_at_its_limit_is_let_pass() -> None:
    at_limit = Endpoint(answered=1000, failed=1, shed=0, p99_ms=Limits().text_p99_ms)
    assert violations({SEARCH_TEXT: at_limit}, Limits()) == []


@pytest.mark.parametrize(
    ("name", "option"),
    [(SEARCH_TEXT, "--slo-text-p99-ms"), (SEARCH_IMAGE, "--slo-image-p99-ms"), (UPLOAD, "--slo-upload-p99-ms")],
)
def test_each_kind_has_a_p99_of_its_own(name: str, option: str) -> None:
    seen = {SEARCH_TEXT: good(), SEARCH_IMAGE: good(), UPLOAD: good()} | {name: Endpoint(answered=100, p99_ms=2100)}
    (told,) = violations(seen, Limits())
    assert told.startswith(f"{name}: p99 is 2100 ms")
    assert option in told


def test_errors_of_a_rare_kind_are_not_lost_among_the_others() -> None:
    """One of ten uploads failed; of all requests together that is one in ten thousand."""
    seen = {SEARCH_TEXT: good(10_000), UPLOAD: Endpoint(answered=10, failed=1)}
    assert violations(seen, Limits()) == ["upload: 1 of 10 failed (10 %), over 0.1 % (--slo-error-ratio)"]


def test_a_429_is_no_error_and_has_its_own_limit() -> None:
    seen = {SEARCH_TEXT: Endpoint(answered=900, shed=100, p99_ms=90)}
    (told,) = violations(seen, Limits())
    assert told == "search by text: 100 of 1000 were refused with 429 (10 %), over 1 % (--slo-shed-ratio)"
    assert violations(seen, Limits(shed_ratio=0.1)) == []


def test_failed_answers_do_not_hide_behind_shed_ones() -> None:
    """Of what was let in, all failed."""
    seen = {SEARCH_TEXT: Endpoint(answered=1, failed=1, shed=999_999)}
    assert violations(seen, Limits(shed_ratio=1)) == [
        "search by text: 1 of 1 failed (100 %), over 0.1 % (--slo-error-ratio)"
    ]


@pytest.mark.parametrize("seen", [{}, {SEARCH_TEXT: Endpoint()}, {SEARCH_TEXT: Endpoint(shed=5)}])
def test_a_run_without_an_answer_is_not_good(seen: dict[str, Endpoint]) -> None:
    (told,) = violations(seen, Limits(shed_ratio=1))
    assert told.startswith("no request was answered")
    assert ("5 were refused" in told) == any(endpoint.shed for endpoint in seen.values())


def test_every_limit_is_explained() -> None:
    assert list(Limits.HELP) == Limits.names()
