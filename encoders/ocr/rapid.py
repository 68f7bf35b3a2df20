"""RapidOCR: PP-OCR's detector, line classifier and recogniser in onnxruntime, Chinese and English.

The models are those inside the package. Their paths are given explicitly, because without one RapidOCR downloads what
it misses; nothing here reaches for a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.enhance import Pixels
from encoders.errors import ModelUnavailable
from encoders.extras import require
from encoders.ocr.base import Box, TextLine

MODELS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
VOTERS = 8
"""Lines that are asked which way up they stand: the longest, which are the surest."""


class RapidReader:
    """A `TextReader` that takes 0.4 CPU seconds for a small photo, and several for a dense page."""

    def __init__(self, threads: int = 1, min_score: float = 0.5) -> None:
        """Lines read with less confidence than `min_score` are left out; photos are full of things like letters.

        Raises MissingExtra, and ModelUnavailable where the package came without its models.
        """
        require("onnxruntime", "ocr")
        require("cv2", "ocr").setNumThreads(threads)
        rapidocr = require("rapidocr", "ocr")
        folder = Path(str(rapidocr.__file__)).parent / "models"
        missing = sorted(name for name in MODELS.values() if not (folder / name).is_file())
        if missing:
            message = f"rapidocr came without {', '.join(missing)}: run  pip install --force-reinstall rapidocr==3.10.0"
            raise ModelUnavailable(message)
        self._engine: Any = rapidocr.RapidOCR(
            params={
                **{f"{part}.model_path": str(folder / name) for part, name in MODELS.items()},
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.text_score": min_score,
                # It warns of every image without text.
                "Global.log_level": "critical",
            }
        )

    def read(self, image: Pixels) -> list[TextLine]:
        """See `TextReader.read`."""
        found = self._engine(_bgr(image), use_det=True, use_cls=True, use_rec=True)
        if found.txts is None:
            return []
        return [
            TextLine(text, float(score), _box(box))
            for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        ]

    def quarter_turns(self, image: Pixels, lines: Sequence[TextLine]) -> int:
        """See `TextReader.quarter_turns`. By where the longest lines run, and which way up their letters are."""
        if not lines:
            return 0
        longest = sorted(lines, key=lambda line: max(_sides(line.box)), reverse=True)[:VOTERS]
        upright = sum(height > width for width, height in (_sides(line.box) for line in longest))
        stands = 2 * upright > len(longest)
        voters = [line for line in longest if (_sides(line.box)[1] > _sides(line.box)[0]) == stands]
        boxes = [np.asarray(line.box, dtype=np.float32) for line in voters]
        # A crop that is taller than wide comes turned anticlockwise by one quarter.
        crops = self._engine.crop_text_regions(_bgr(image), boxes)
        turned = sum(self._is_upside_down(crop) for crop in crops)
        return int(stands) + (2 if 2 * turned > len(crops) else 0)

    def _is_upside_down(self, crop: Any) -> bool:
        found = self._engine(crop, use_det=False, use_cls=True, use_rec=False)
        return bool(found.cls_res and found.cls_res[0][0] == "180")


def _bgr(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image[:, :, ::-1])


def _box(corners: Any) -> Box:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return (a, b, c, d)


def _sides(box: Box) -> tuple[float, float]:
    """Width and height of the upright rectangle around a box."""
    xs, ys = [x for x, _ in box], [y for _, y in box]
    return max(xs) - min(xs), max(ys) - min(ys)
