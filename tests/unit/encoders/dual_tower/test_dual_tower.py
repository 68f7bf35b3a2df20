"""CLIP, SigLIP and SigLIP 2: vectors equal a plain one-by-one pass, and planted faults do not."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders import EncoderError, EncoderInput, InputError, ModelUnavailable, encode
from encoders.dual_tower.encoder import DualTowerEncoder, load_dual_tower
from tests.tiny.agreement import assert_agree
from tests.tiny.dual_tower import DualTowerKind, build_tiny_dual_tower
from tests.tiny.inputs import mixed_inputs, picture

KINDS: tuple[DualTowerKind, ...] = ("clip", "siglip", "siglip2")
THRESHOLDS = {"fp32": 0.9999, "bf16": 0.999, "fp16": 0.999, "int8": 0.999, "nf4": 0.98}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[DualTowerKind], Path]:
    built: dict[DualTowerKind, Path] = {}

    def get(kind: DualTowerKind) -> Path:
        if kind not in built:
            built[kind] = build_tiny_dual_tower(tmp_path_factory.mktemp("dual_tower") / kind, kind)
        return built[kind]

    return get


class PlainReference:
    """One input, one pass of one tower, with transformers' own pieces, fp32."""

    def __init__(self, folder: Path, kind: DualTowerKind) -> None:
        import torch
        import transformers
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
        from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
        from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

        processors = {
            "clip": CLIPImageProcessorPil,
            "siglip": SiglipImageProcessorPil,
            "siglip2": Siglip2ImageProcessorPil,
        }
        self.kind = kind
        self.model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.processor = processors[kind].from_pretrained(folder)

    def embed(self, item: EncoderInput) -> np.ndarray:
        import torch

        parts = []
        with torch.no_grad():
            if item.text is not None:
                full = {"padding": "max_length"} if self.kind != "clip" else {}
                length = 77 if self.kind == "clip" else 64
                tokens = self.tokenizer(item.text, truncation=True, max_length=length, return_tensors="pt", **full)
                parts.append(self.model.get_text_features(**tokens).pooler_output[0])
            if item.image is not None:
                pixels = self.processor(Image.open(io.BytesIO(item.image)), return_tensors="pt")
                parts.append(self.model.get_image_features(**pixels).pooler_output[0])
        mean = sum(part / part.norm() for part in parts)
        return (mean / mean.norm()).numpy()


@pytest.fixture(scope="session")
def expected(folder: Callable[[DualTowerKind], Path]) -> Callable[[DualTowerKind], np.ndarray]:
    """`(n, dim)` of the reference."""
    made: dict[DualTowerKind, np.ndarray] = {}

    def get(kind: DualTowerKind) -> np.ndarray:
        if kind not in made:
            reference = PlainReference(folder(kind), kind)
            made[kind] = np.stack([reference.embed(item) for item in mixed_inputs()])
        return made[kind]

    return get


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> DualTowerKind:
    return request.param


@pytest.fixture
def encoder(folder: Callable[[DualTowerKind], Path], kind: DualTowerKind) -> DualTowerEncoder:
    return load_dual_tower(str(folder(kind)), device="cpu")


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("precision", THRESHOLDS)
def test_every_precision_agrees_with_the_plain_reference(
    precision: str, kind: DualTowerKind, folder: Callable[[DualTowerKind], Path], expected: Any
) -> None:
    encoder = load_dual_tower(str(folder(kind)), device="cpu", precision=precision)
    found = encode(encoder, mixed_inputs(), "document").unwrap()
    assert_agree(found, expected(kind), THRESHOLDS[precision], f"{kind}, {precision}")
    assert encoder.info.contract.precision == precision


@pytest.mark.parametrize("size", [1, 3, 32])
def test_batch_size_changes_nothing(size: int, encoder: DualTowerEncoder, kind: DualTowerKind, expected: Any) -> None:
    inputs = mixed_inputs()
    prepared = [encoder.preparer(inputs[row % len(inputs)], "document") for row in range(32)]
    found = np.concatenate([encoder.forward(prepared[start : start + size]) for start in range(0, 32, size)])
    assert_agree(found[: len(inputs)], expected(kind), 0.9999, f"{kind}, batches of {size}")


def test_swapped_images_fail_the_check(encoder: DualTowerEncoder, kind: DualTowerKind, expected: Any) -> None:
    features = encoder.forward_pass.model.get_image_features
    encoder.forward_pass.model.get_image_features = lambda **pixels: features(
        **{n: x.flip(0) for n, x in pixels.items()}
    )
    with pytest.raises(AssertionError, match="swapped"):
        assert_agree(encode(encoder, mixed_inputs(), "document").unwrap(), expected(kind), 0.98, "swapped images")


def test_a_wrong_mask_fails_the_check(encoder: DualTowerEncoder, kind: DualTowerKind, expected: Any) -> None:
    name = "attention_mask" if kind != "siglip2" else "pixel_attention_mask"
    tower = "get_text_features" if kind != "siglip2" else "get_image_features"
    features = getattr(encoder.forward_pass.model, tower)

    def upside_down(**inputs: Any) -> Any:
        mask = inputs[name]
        mask[:, : mask.shape[1] // 2] = 0
        mask[:, mask.shape[1] // 2 :] = 1
        return features(**inputs)

    setattr(encoder.forward_pass.model, tower, upside_down)
    with pytest.raises(AssertionError, match="wrong mask"):
        assert_agree(encode(encoder, mixed_inputs(), "document").unwrap(), expected(kind), 0.9999, "wrong mask")


def test_templates_stand_around_the_text(folder: Callable[[DualTowerKind], Path]) -> None:
    plain = load_dual_tower(str(folder("clip")), device="cpu")
    templated = load_dual_tower(str(folder("clip")), device="cpu", query_template="a photo of {}")
    for text in ("two dogs", "braces {0} {x}"):
        asked = encode(templated, [EncoderInput(text=text)], "query").unwrap()
        meant = encode(plain, [EncoderInput(text=f"a photo of {text}")], "query").unwrap()
        np.testing.assert_allclose(asked, meant, atol=1e-6)
    kept = encode(templated, [EncoderInput(text="two dogs")], "document").unwrap()
    np.testing.assert_allclose(kept, encode(plain, [EncoderInput(text="two dogs")], "document").unwrap(), atol=1e-6)
    assert plain.info.contract.fingerprint != templated.info.contract.fingerprint


@pytest.mark.parametrize("template", ["a photo", "{} and {}"])
def test_a_template_without_one_place_for_the_text_is_refused(
    template: str, folder: Callable[[DualTowerKind], Path]
) -> None:
    with pytest.raises(InputError, match=r"needs one \{\}") as caught:
        load_dual_tower(str(folder("clip")), device="cpu", document_template=template)
    assert (caught.value.code, caught.value.param) == ("invalid_template", "template")


def test_an_unknown_dimension_lists_the_allowed_one(folder: Callable[[DualTowerKind], Path]) -> None:
    with pytest.raises(InputError, match="one of 48, not 32"):
        load_dual_tower(str(folder("clip")), device="cpu", dimensions=32)


def test_long_texts_are_cut_to_the_towers_length(encoder: DualTowerEncoder) -> None:
    long = encoder.preparer(EncoderInput(text="dog " * 500), "document")
    assert long.cost == encoder.preparer.text_tokens
    assert np.isfinite(encoder.forward([long])).all()


def test_threads_may_share_an_unpickled_preparer(encoder: DualTowerEncoder) -> None:
    preparer = pickle.loads(pickle.dumps(encoder.preparer))
    texts = [EncoderInput(text=f"photo {number} " * (number % 9 + 1)) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        prepared = list(pool.map(lambda item: preparer(item, "query"), texts))
    np.testing.assert_array_equal(encoder.forward(prepared), encode(encoder, texts, "query").unwrap())


def test_out_of_memory_halves_the_batch(encoder: DualTowerEncoder, kind: DualTowerKind, expected: Any) -> None:
    import torch

    features = encoder.forward_pass.model.get_text_features

    def limited(**tokens: Any) -> Any:
        if len(tokens["input_ids"]) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return features(**tokens)

    encoder.forward_pass.model.get_text_features = limited
    assert_agree(encode(encoder, mixed_inputs(), "document").unwrap(), expected(kind), 0.9999, "after halving")
    assert encoder.oom_splits == 1


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelUnavailable, match="a bert model, not one of clip, siglip, siglip2"):
        load_dual_tower(str(tmp_path), device="cpu")


def test_a_closed_encoder_says_so(encoder: DualTowerEncoder) -> None:
    encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        encode(encoder, [EncoderInput(image=picture(64, 64, 0))], "document")
