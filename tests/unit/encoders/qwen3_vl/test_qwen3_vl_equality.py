"""Qwen3-VL's vectors equal a plain one-by-one forward pass, and the check that says so catches planted faults."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders import EncoderInput, encode
from encoders.qwen3_vl.encoder import Qwen3VLEncoder, load_qwen3_vl
from tests.tiny.agreement import assert_agree
from tests.tiny.inputs import picture

THRESHOLDS = {"fp32": 0.9999, "bf16": 0.999, "fp16": 0.999, "int8": 0.999, "nf4": 0.98}

bitsandbytes_on_torch_2_13 = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
)


@pytest.fixture(scope="module")
def encoder(tiny_folder: Callable[[str], Path]) -> Qwen3VLEncoder:
    return load_qwen3_vl(str(tiny_folder("embedding")), device="cpu")


@bitsandbytes_on_torch_2_13
@pytest.mark.parametrize("precision", THRESHOLDS)
def test_every_precision_agrees_with_the_plain_reference(
    precision: str, tiny_folder: Callable[[str], Path], inputs: list[EncoderInput], expected: np.ndarray
) -> None:
    encoder = load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", precision=precision)
    assert_agree(encode(encoder, inputs, "document").unwrap(), expected, THRESHOLDS[precision], precision)
    assert encoder.info.contract.precision == precision


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_batch_size_and_padding_side_change_nothing(
    side: Any, size: int, tiny_folder: Callable[[str], Path], inputs: list[EncoderInput], expected: np.ndarray
) -> None:
    encoder = load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", padding_side=side)
    rows = [row % len(inputs) for row in range(32)]
    prepared = [encoder.preparer(inputs[row], "document") for row in rows]
    batches = [prepared[start : start + size] for start in range(0, len(rows), size)]
    found = np.concatenate([encoder.forward(batch) for batch in batches])
    assert_agree(found[: len(inputs)], expected, 0.9999, f"batches of {size}, padding {side}")
    assert_agree(found[len(inputs) : 2 * len(inputs)], expected, 0.9999, f"batches of {size}, padding {side}, again")


def test_one_group_with_padding_agrees(
    encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("encoders.qwen3_vl.encoder.length_groups", lambda lengths: [list(range(len(lengths)))])
    assert_agree(encode(encoder, inputs, "document").unwrap(), expected, 0.9999, "unsorted, all padded to the longest")


def test_queries_carry_their_own_instruction(
    encoder: Qwen3VLEncoder, inputs: list[EncoderInput], reference: Any, expected: np.ndarray
) -> None:
    queries = np.stack([reference.embed(item, "query") for item in inputs])
    assert_agree(encode(encoder, inputs, "query").unwrap(), queries, 0.9999, "queries")
    with pytest.raises(AssertionError):
        assert_agree(queries, expected, 0.9999, "queries against documents")


def test_instruct_is_the_mean_over_the_attended_tokens(
    tiny_folder: Callable[[str], Path], inputs: list[EncoderInput], reference: Any
) -> None:
    encoder = load_qwen3_vl(str(tiny_folder("instruct")), device="cpu")
    expected = np.stack([reference.embed_mean(item) for item in inputs])
    for role in ("document", "query"):
        assert_agree(encode(encoder, inputs, role).unwrap(), expected, 0.9999, f"instruct, {role}")
    assert encoder.info.contract.pooling == "mean"
    assert encoder.info.dimensions == (128,)


def test_eager_attention_agrees(
    tiny_folder: Callable[[str], Path], inputs: list[EncoderInput], expected: np.ndarray
) -> None:
    encoder = load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", attention="eager")
    assert_agree(encode(encoder, inputs, "document").unwrap(), expected, 0.9999, "eager attention")


def test_shorter_dimensions_are_renormalised_prefixes(
    tiny_folder: Callable[[str], Path], inputs: list[EncoderInput], expected: np.ndarray
) -> None:
    encoder = load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", dimensions=64)
    prefix = expected[:, :64] / np.linalg.norm(expected[:, :64], axis=1, keepdims=True)
    assert_agree(encode(encoder, inputs, "document").unwrap(), prefix, 0.9999, "64 of 128 dimensions")
    assert encoder.info.dimensions == (64,)
    assert encoder.info.contract.dim == 64


def test_the_pixel_budget_decides_the_cost(tiny_folder: Callable[[str], Path]) -> None:
    def cost(max_pixels: int) -> int:
        encoder = load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", max_pixels=max_pixels)
        return encoder.preparer(EncoderInput(image=picture(512, 512, 0)), "document").cost

    assert cost(256 * 1024) - cost(64 * 1024) == 256 - 64


def test_a_pickled_preparer_prepares_the_same(encoder: Qwen3VLEncoder, inputs: list[EncoderInput]) -> None:
    packed = pickle.dumps(encoder.preparer)
    assert len(packed) < 200_000
    again = [pickle.loads(packed)(item, "document") for item in inputs]
    np.testing.assert_array_equal(encoder.forward(again), encode(encoder, inputs, "document").unwrap())


class TestPlantedFaults:
    """Each fault, on an encoder of its own, must fail the check that the healthy encoder passes."""

    @pytest.fixture
    def encoder(self, tiny_folder: Callable[[str], Path]) -> Qwen3VLEncoder:
        return load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", padding_side="left")

    def fails(self, encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray, fault: str) -> None:
        for threshold in (0.9999, 0.98):
            with pytest.raises(AssertionError, match=fault):
                assert_agree(encode(encoder, inputs, "document").unwrap(), expected, threshold, fault)

    def test_swapped_images(
        self, encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from encoders.qwen3_vl import vision

        cut = vision.cut_patches

        def swap(pictures: Any, *rest: Any) -> Any:
            swapped = sorted(range(len(pictures)), key=lambda i: (pictures[i].shape, -i))
            kept = sorted(range(len(pictures)), key=lambda i: (pictures[i].shape, i))
            out = list(pictures)
            for a, b in zip(kept, swapped, strict=True):
                out[a] = pictures[b]
            return cut(out, *rest)

        monkeypatch.setattr(vision, "cut_patches", swap)
        self.fails(encoder, inputs, expected, "swapped images")

    def test_no_deepstack(
        self, encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = encoder.forward_pass.backbone.model.language_model
        monkeypatch.setattr(text, "_deepstack_process", lambda hidden, mask, visual: hidden)
        self.fails(encoder, inputs, expected, "no DeepStack")

    def test_wrong_mask(
        self, encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from encoders.qwen3_vl import backbone

        collate = backbone._collate

        def attend_to_padding(*args: Any) -> Any:
            ids, positions, mask = collate(*args)
            return ids, positions, np.ones_like(mask)

        monkeypatch.setattr(backbone, "_collate", attend_to_padding)
        self.fails(encoder, inputs, expected, "wrong mask")

    def test_flat_positions(
        self, encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from encoders.qwen3_vl import backbone

        collate = backbone._collate

        def one_dimensional(*args: Any) -> Any:
            ids, positions, mask = collate(*args)
            return ids, np.broadcast_to(mask.cumsum(axis=1) - 1, positions.shape).copy(), mask

        monkeypatch.setattr(backbone, "_collate", one_dimensional)
        with pytest.raises(AssertionError, match="flat positions"):
            assert_agree(encode(encoder, inputs, "document").unwrap(), expected, 0.9999, "flat positions")

    def test_state_before_the_final_norm(
        self, encoder: Qwen3VLEncoder, inputs: list[EncoderInput], expected: np.ndarray
    ) -> None:
        import torch

        encoder.forward_pass.backbone.model.language_model.norm = torch.nn.Identity()
        with pytest.raises(AssertionError, match="pre-norm"):
            assert_agree(encode(encoder, inputs, "document").unwrap(), expected, 0.9999, "pre-norm")
