"""A page's lines in reading order, whichever way it lies, read by a reader that knows where its lines are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from encoders.enhance import Enhancement, Pixels
from encoders.ocr import TextLine, read_page
from encoders.ocr.page import MAX_SIDE_PX


class BlockReader:
    """Reads coloured blocks on white by the name of their colour; a blue corner says which way the page is up."""

    NAMES = ((255, 0, 0, "red"), (0, 255, 0, "green"), (0, 0, 0, "black"))

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def read(self, image: Pixels) -> list[TextLine]:
        self.seen.append((image.shape[1], image.shape[0]))
        lines = []
        for red, green, blue, name in self.NAMES:
            ys, xs = np.nonzero((image == (red, green, blue)).all(axis=2))
            if len(ys):
                left, right, top, bottom = (float(v) for v in (xs.min(), xs.max(), ys.min(), ys.max()))
                lines.append(TextLine(name, 1.0, ((left, top), (right, top), (right, bottom), (left, bottom))))
        return lines

    def quarter_turns(self, image: Pixels, lines: Sequence[TextLine]) -> int:
        corners = [image[0, 0], image[0, -1], image[-1, -1], image[-1, 0]]
        return next(turns for turns, corner in enumerate(corners) if (corner == (0, 0, 255)).all())


@pytest.fixture
def reader() -> BlockReader:
    return BlockReader()


def blocks() -> Image.Image:
    """Two blocks side by side, the right one a little higher, and one below; the top left corner is blue."""
    pixels = np.full((60, 100, 3), 255, dtype=np.uint8)
    pixels[0, 0] = (0, 0, 255)
    pixels[12:22, 5:40] = (0, 0, 0)
    pixels[10:20, 60:90] = (255, 0, 0)
    pixels[40:50, 5:90] = (0, 255, 0)
    return Image.fromarray(pixels)


def test_rows_go_down_and_lines_within_them_to_the_right(reader: BlockReader) -> None:
    page = read_page(reader, blocks(), Enhancement.off())
    assert page.text == "black red\ngreen"
    assert [line.text for line in page.lines] == ["black", "red", "green"]
    assert page.enhanced == ()


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_a_page_that_lies_wrong_is_turned_and_read_again(reader: BlockReader, turn: Image.Transpose) -> None:
    lying = blocks().transpose(turn)
    as_it_lies = read_page(reader, lying, Enhancement.off())
    assert as_it_lies.text != "black red\ngreen"
    page = read_page(reader, lying, Enhancement(False, False, False, False, rotate=True))
    assert page.text == "black red\ngreen"
    assert page.enhanced == ("rotate",)
    assert reader.seen[-1] == (100, 60)


def test_an_empty_page_is_read_once(reader: BlockReader) -> None:
    page = read_page(reader, Image.new("RGB", (30, 30), "white"), Enhancement(False, False, False, False))
    assert (page.text, page.lines) == ("", ())
    assert len(reader.seen) == 1


def test_a_large_image_is_read_smaller(reader: BlockReader) -> None:
    read_page(reader, Image.new("RGB", (3000, 30), "white"), Enhancement.off())
    assert reader.seen == [(MAX_SIDE_PX, 20)]


def test_importing_loads_no_model_library() -> None:
    code = (
        "import sys, encoders.ocr, encoders.enhance\n"
        "print([name for name in ('cv2', 'onnxruntime', 'rapidocr') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
