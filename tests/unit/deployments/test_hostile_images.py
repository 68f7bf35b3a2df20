"""Damaged images through the whole API. `make chaos` sends 20,000."""

from __future__ import annotations

from pathlib import Path

from encoders.images import SUPPORTED_MIMES, ImageLimits, decode, sniff
from loadtests.chaos_images import api_over, run
from loadtests.hostile_images import hostile_image, whole_images

CASES = 500


async def test_damaged_images_are_refused_and_nothing_breaks(tmp_path: Path) -> None:
    async with api_over(tmp_path) as http:
        tally = await run(http, CASES, seed=1)
    assert tally.faults == []
    assert tally.cases == CASES
    refused = sum(count for answer, count in tally.answers.items() if answer.startswith("400 image_"))
    taken = sum(count for answer, count in tally.answers.items() if answer.startswith("2"))
    assert refused > CASES / 4, tally.answers
    assert taken > CASES / 20, "some damage does not matter"


def test_the_files_that_are_damaged_are_whole_and_of_every_kind() -> None:
    assert {sniff(data) for data in whole_images()} == set(SUPPORTED_MIMES)
    for data in whole_images():
        assert decode(data, ImageLimits()).mode == "RGB"


def test_a_case_can_be_had_again_by_its_number() -> None:
    cases = [hostile_image(3, number) for number in range(50)]
    assert cases == [hostile_image(3, number) for number in range(50)]
    assert len(set(cases)) > 45
    assert hostile_image(4, 0) != cases[0]


def test_most_cases_are_still_taken_for_images() -> None:
    kinds = [sniff(hostile_image(11, number)) for number in range(200)]
    assert sum(kind is not None for kind in kinds) > 120
