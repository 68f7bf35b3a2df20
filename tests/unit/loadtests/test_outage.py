"""What chaos_nodes counts: which searches failed, how long a client was without an answer, which writes are gone."""

from __future__ import annotations

import itertools

from loadtests.outage import Search, Writes, outage


def answered(client: int, *moments: float) -> list[Search]:
    """A client's searches, one after the other, that ended at these moments."""
    return [Search(client, begin, end) for begin, end in itertools.pairwise(moments)]


def test_a_load_that_is_not_disturbed() -> None:
    found = outage(answered(0, 0, 1, 2, 3, 4), at_s=2.5, until_s=4.2)
    assert (found.searches, found.failed, found.last_failed_began_s, found.faults) == (4, 0, None, {})
    assert (found.stall_s, found.stall_before_s) == (1.0, 1.0)


def test_failed_searches_are_counted_from_the_fault() -> None:
    searches = [*answered(0, 0, 1), Search(0, 1, 2.5, "500 oops"), Search(0, 2.5, 2.6, "500 oops"), Search(0, 2.6, 3)]
    found = outage(searches, at_s=2.0, until_s=3.0)
    assert (found.failed, found.last_failed_began_s, found.faults) == (2, 0.5, {"500 oops": 2})


def test_a_client_stalls_over_its_failed_searches() -> None:
    searches = [*answered(0, 0, 1), Search(0, 1, 4, "reset"), Search(0, 4, 6.5), *answered(1, 0, 1, 2, 3, 4, 5, 6)]
    found = outage(searches, at_s=2.0, until_s=6.5)
    assert (found.stall_s, found.stall_ended_s) == (5.5, 4.5)


def test_a_client_that_is_never_answered_again_stalls_to_the_end() -> None:
    found = outage([*answered(0, 0, 1), *answered(1, 0, 1, 2, 3)], at_s=1.5, until_s=9.0)
    assert (found.stall_s, found.stall_before_s) == (8.0, 1.0)


def test_a_client_that_was_never_answered_at_all_stalls_from_its_first_search() -> None:
    assert outage([Search(0, 1.0, 2.0, "reset")], at_s=0.5, until_s=7.0).stall_s == 6.0


def test_acknowledged_uploads_and_deletes_can_be_lost() -> None:
    writes = Writes(kept={"a", "b"}, deleted={"c", "d"})
    assert writes.lost(["a", "b", "elsewhere"]) == 0
    assert writes.lost(["a"]) == 1
    assert writes.lost(["a", "b", "d"]) == 1
    assert writes.lost([]) == 2
