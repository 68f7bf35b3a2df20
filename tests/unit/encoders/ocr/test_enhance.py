"""Each enhancement mends what it is for, is called for by its measure, and leaves a clean page alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from encoders.enhance import (
    BLURRED_BELOW,
    NOISY_ABOVE,
    Enhancement,
    Pixels,
    brighten,
    denoise,
    edge_steepness,
    enhance,
    is_dark,
    noise_level,
    rotate,
    sharpen,
    skew_degrees,
    straighten,
    turn,
)
from loadtests.made_up_pages import FAULTS


@pytest.fixture(scope="module")
def page() -> Pixels:
    """Lines of print in the font that comes with Pillow."""
    image = Image.new("RGB", (520, 320), (250, 248, 244))
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(22)
    for row in range(7):
        pen.text((24, 16 + 42 * row), f"Line {row}: the quick brown fox and a lazy dog"[: 30 + 2 * row], "black", font)
    return np.asarray(image, dtype=np.uint8)


def distance(a: Pixels, b: Pixels) -> float:
    """Root mean square of the difference, in grey levels."""
    return float(np.sqrt(np.square(a.astype(np.float64) - b).mean()))


def spoilt(page: Pixels, fault: str) -> Pixels:
    return FAULTS[fault].spoil(page)


def test_a_clean_page_is_left_alone(page: Pixels) -> None:
    enhanced, done = enhance(page, Enhancement())
    assert done == ()
    assert enhanced is page


def test_nothing_is_done_that_was_not_asked_for(page: Pixels) -> None:
    dark = spoilt(page, "low light")
    enhanced, done = enhance(dark, Enhancement.off())
    assert done == ()
    assert enhanced is dark


@pytest.mark.parametrize("angle", [-13.0, -8.0, -5.0, -1.0, 1.0, 5.0, 10.0, 13.0])
def test_the_skew_is_found_and_taken_out(page: Pixels, angle: float) -> None:
    askew = rotate(page, angle)
    assert skew_degrees(askew) == pytest.approx(angle, abs=0.4)
    level = straighten(askew)
    assert level is not None
    assert abs(skew_degrees(level)) <= 0.4


def test_what_has_no_lines_is_not_turned() -> None:
    cloud = np.random.default_rng(3).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    assert straighten(cloud) is None
    assert straighten(np.full((200, 300, 3), 240, dtype=np.uint8)) is None


def test_stairs_have_an_angle_and_no_letters() -> None:
    scene = Image.new("RGB", (500, 330), (150, 170, 200))
    pen = ImageDraw.Draw(scene)
    for row in range(8):
        pen.line((20, 10 + 35 * row, 480, 46 + 35 * row), (90, 60, 30), 9)
    assert straighten(np.asarray(scene, dtype=np.uint8)) is None


def test_a_framed_page_is_straightened_too(page: Pixels) -> None:
    framed = Image.fromarray(page)
    ImageDraw.Draw(framed).rectangle((8, 8, page.shape[1] - 9, page.shape[0] - 9), outline=(0, 0, 0), width=3)
    askew = rotate(np.asarray(framed, dtype=np.uint8), 6)
    assert skew_degrees(askew) == pytest.approx(6, abs=0.4)


@pytest.mark.parametrize("sigma", [5.0, 20.0, 40.0])
def test_the_noise_is_measured(page: Pixels, sigma: float) -> None:
    grain = np.random.default_rng(5).normal(0, sigma, page.shape[:2])[:, :, None]
    grey = np.full_like(page, 128)
    noisy = np.clip(grey + grain, 0, 255).astype(np.uint8)
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.15)
    assert noise_level(page) < NOISY_ABOVE


def test_denoising_comes_nearer_to_the_clean_page(page: Pixels) -> None:
    noisy = spoilt(page, "noisy")
    assert noise_level(noisy) > NOISY_ABOVE
    assert distance(denoise(noisy), page) < 0.7 * distance(noisy, page)


def test_sharpening_makes_edges_steeper_and_comes_nearer_to_the_sharp_page(page: Pixels) -> None:
    blurred = spoilt(page, "blurred")
    assert edge_steepness(blurred) < BLURRED_BELOW < edge_steepness(page)
    mended = sharpen(blurred)
    assert edge_steepness(mended) > 1.2 * edge_steepness(blurred)
    assert distance(mended, page) < distance(blurred, page)


def test_brightening_brings_the_paper_into_the_light(page: Pixels) -> None:
    dark = spoilt(page, "low light")
    assert is_dark(dark)
    assert not is_dark(page)
    mended = brighten(dark)
    assert not is_dark(mended)
    assert distance(mended, page) < 0.7 * distance(dark, page)


def test_rotation_keeps_the_whole_page_and_the_colour_of_its_border(page: Pixels) -> None:
    turned = rotate(page, 10)
    assert turned.shape[0] > page.shape[0]
    assert turned.shape[1] > page.shape[1]
    np.testing.assert_allclose(turned[0, 0], page[0, 0], atol=2)
    ink = (255 - page.astype(np.int64)).sum() - (255 - np.int64(page[0, 0])).sum() * page.shape[0] * page.shape[1]
    kept = (255 - turned.astype(np.int64)).sum() - (255 - np.int64(page[0, 0])).sum() * turned.shape[0] * turned.shape[
        1
    ]
    assert kept == pytest.approx(ink, rel=0.02)


def test_quarter_turns_lose_nothing(page: Pixels) -> None:
    assert turn(page, 1).shape == (page.shape[1], page.shape[0], 3)
    np.testing.assert_array_equal(turn(turn(page, 1), 3), page)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (3, 2, 3), (31, 17, 3)])
def test_tiny_images_pass_through_every_step(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 60, shape, dtype=np.uint8)
    enhanced, _ = enhance(image, Enhancement())
    assert enhanced.dtype == np.uint8
    assert enhanced.ndim == 3
