"""Image enhancement before OCR: light, noise, skew and blur, each a pure function on uint8 RGB arrays `(h, w, 3)`.

Each has a measure that says whether it is called for, so that a clean page passes through untouched and costs only the
measuring: a tenth of a CPU second. Turning by quarters needs someone who can read, and is decided in `encoders.ocr`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from encoders.extras import require

Pixels: TypeAlias = NDArray[np.uint8]

DARK_BELOW = 128
"""Luma under which the paper of a page is in the dark: what 19 of 20 pixels do not reach."""
NOISY_ABOVE = 4.0
"""Standard deviation of noise, in grey levels, above which it costs more letters than smoothing does."""
BLURRED_BELOW = 0.15
"""Steepest edge, as a share of the contrast a pixel, below which letters have run together."""
SKEWED_ABOVE_DEG = 0.5
MAX_SKEW_DEG = 15.0
_SKEW_SIDE_PX = 800
_SKEW_GAIN = 1.15
"""How much more the best angle must tell rows from gaps than the angle as it is."""
_LETTER_HEIGHTS = 5, 0.1
"""Of a mark that may be letters: at least so many pixels, and at most this share of the longer side."""
_WORD_HEIGHTS = 15
"""A mark that is longer, in its own heights, is no word that ran together but a rail or a rule."""
_PRINT_ABOVE = 0.5
"""Share of the ink in such marks above which it is print. Every page has more, also a framed one, and hardly a photo:
a quarter of those have an angle that stands out (fences, shores, roofs), and one in a hundred has this too."""


@dataclass(frozen=True, slots=True)
class Enhancement:
    """Which steps may run; each still runs only where its measure calls for it."""

    brighten: bool = True
    denoise: bool = True
    deskew: bool = True
    sharpen: bool = True
    rotate: bool = True
    """Turning by 90, 180 or 270 degrees; the only one that costs a second reading, where a page lies wrong."""

    @classmethod
    def off(cls) -> Enhancement:
        return cls(brighten=False, denoise=False, deskew=False, sharpen=False, rotate=False)


def enhance(image: Pixels, wanted: Enhancement) -> tuple[Pixels, tuple[str, ...]]:
    """The image with light, noise, skew and blur mended where they call for it, and the names of what was done."""
    steps: tuple[tuple[str, bool, Callable[[Pixels], Pixels | None]], ...] = (
        ("brighten", wanted.brighten, lambda page: brighten(page) if is_dark(page) else None),
        ("denoise", wanted.denoise, lambda page: denoise(page) if noise_level(page) > NOISY_ABOVE else None),
        ("deskew", wanted.deskew, straighten),
        ("sharpen", wanted.sharpen, lambda page: sharpen(page) if edge_steepness(page) < BLURRED_BELOW else None),
    )
    done = []
    for name, is_wanted, step in steps:
        changed = step(image) if is_wanted else None
        if changed is not None:
            image = changed
            done.append(name)
    return image, tuple(done)


def is_dark(image: Pixels) -> bool:
    """Whether even the bright parts of the image are in the dark."""
    return bool(np.percentile(_luma(image), 95) < DARK_BELOW)


def brighten(image: Pixels) -> Pixels:
    """Spreads what there is over the whole range, lifts the middle (gamma), and evens out the light.

    Contrast-limited adaptive histogram equalisation (Zuiderveld, 1994) on lightness; colours keep their hue.
    """
    cv2 = _cv2()
    low, high = np.percentile(_luma(image), (1, 99))
    spread = np.clip((image.astype(np.float32) - low) / max(high - low, 1.0), 0, 1) ** 0.8
    lab = cv2.cvtColor((spread * 255).astype(np.uint8), cv2.COLOR_RGB2LAB)
    lab[:, :, 0] = cv2.createCLAHE(clipLimit=1.5, tileGridSize=(4, 4)).apply(lab[:, :, 0])
    return _pixels(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def noise_level(image: Pixels) -> float:
    """The standard deviation of the noise in grey levels, from the median of diagonal details (Donoho, 1994)."""
    luma = _luma(image).astype(np.float32)
    luma = luma[: luma.shape[0] // 2 * 2, : luma.shape[1] // 2 * 2]
    if not luma.size:
        return 0.0
    diagonal = (luma[0::2, 0::2] - luma[0::2, 1::2] - luma[1::2, 0::2] + luma[1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal)) / 0.6745)


def denoise(image: Pixels) -> Pixels:
    """Non-local means (Buades et al., 2005), as strong as the noise: strokes stay sharp, which a blur would eat."""
    cv2 = _cv2()
    strength = min(1.2 * noise_level(image), 40.0)
    grey = cv2.fastNlMeansDenoising(_luma(image), None, h=strength, templateWindowSize=5, searchWindowSize=15)
    return _pixels(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))


def edge_steepness(image: Pixels) -> float:
    """The steepest edges' rise a pixel as a share of the contrast: about 0.5 for sharp print, 0.1 well out of focus."""
    cv2 = _cv2()
    luma = _luma(image).astype(np.float32)
    low, high = np.percentile(luma, (0.5, 99.5))
    if high - low < 16:
        return 1.0
    rise = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)) / 8
    return float(np.percentile(rise, 99.5) / (high - low))


def sharpen(image: Pixels, sigma_px: float = 3.0, amount: float = 1.5) -> Pixels:
    """Unsharp masking: adds `amount` times what a Gaussian blur of `sigma_px` takes away."""
    cv2 = _cv2()
    soft = cv2.GaussianBlur(image, (0, 0), sigma_px)
    return _pixels(cv2.addWeighted(image, 1 + amount, soft, -amount, 0))


def straighten(image: Pixels) -> Pixels | None:
    """The image with its lines level, or None where they are, or where it has no lines."""
    angle = skew_degrees(image)
    return rotate(image, -angle) if abs(angle) > SKEWED_ABOVE_DEG else None


def skew_degrees(image: Pixels) -> float:
    """How far the lines of text are turned anticlockwise, within ±MAX_SKEW_DEG; 0 without lines that stand out.

    The angle whose row sums differ most from row to row (Postl, 1986): a page seen along its lines is stripes. So is a
    fence, which is not made of letters.
    """
    cv2 = _cv2()
    luma = _luma(image)
    scale = min(1.0, _SKEW_SIDE_PX / max(luma.shape))
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else luma
    edges = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    _, ink = cv2.threshold(edges, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)

    def stripes(angle: float) -> float:
        sums = _turned(ink, -angle, expand=False, border=0).sum(axis=1, dtype=np.float64)
        return float(np.square(np.diff(sums)).sum())

    coarse = max(np.arange(-MAX_SKEW_DEG, MAX_SKEW_DEG + 0.1, 1.0), key=stripes)
    best = max(np.arange(coarse - 0.8, coarse + 0.81, 0.2), key=stripes)
    stands_out = stripes(best) > _SKEW_GAIN * stripes(0.0)
    return float(best) if stands_out and _is_print(_turned(ink, -best, expand=False, border=0)) else 0.0


def _is_print(ink: Pixels) -> bool:
    """Whether most of the ink is in marks as tall as letters. The outlines in a photo hang together and are taller."""
    _, _, marks, _ = _cv2().connectedComponentsWithStats((ink > 127).astype(np.uint8), connectivity=8)
    widths, heights, areas = marks[1:, 2], marks[1:, 3], marks[1:, 4]  # The first is the background.
    least_px, most = _LETTER_HEIGHTS
    letters = (heights >= least_px) & (heights <= most * max(ink.shape)) & (widths <= _WORD_HEIGHTS * heights)
    return bool(areas[letters].sum() > _PRINT_ABOVE * areas.sum())


def rotate(image: Pixels, degrees: float) -> Pixels:
    """Turned anticlockwise about its middle on a larger canvas, whose corners get the image's own border colour."""
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return _turned(image, degrees, expand=True, border=[float(v) for v in np.median(border, axis=0)])


def turn(image: Pixels, quarters: int) -> Pixels:
    """Turned anticlockwise by `quarters` times 90 degrees, without loss."""
    return np.ascontiguousarray(np.rot90(image, quarters))


def _turned(image: Pixels, degrees: float, *, expand: bool, border: Any) -> Pixels:
    cv2 = _cv2()
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    if expand:
        cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
        larger = math.ceil(height * sin + width * cos), math.ceil(height * cos + width * sin)
        matrix[:, 2] += (larger[0] - width) / 2, (larger[1] - height) / 2
        width, height = larger
    return _pixels(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=border))


def _luma(image: Pixels) -> Pixels:
    cv2 = _cv2()
    return _pixels(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _pixels(array: Any) -> Pixels:
    return np.asarray(array, dtype=np.uint8)


def _cv2() -> Any:
    return require("cv2", "ocr")
