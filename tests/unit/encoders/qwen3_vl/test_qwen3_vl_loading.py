"""What is loaded, what is refused and why, and what happens when the device is full."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders import EncoderError, EncoderInput, InputError, ModelUnavailable, encode
from encoders.errors import OutOfMemory
from encoders.qwen3_vl.backbone import pick_attention
from encoders.qwen3_vl.encoder import Qwen3VLEncoder, load_qwen3_vl
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl


@pytest.fixture
def encoder(tiny_folder: Callable[[str], Path]) -> Qwen3VLEncoder:
    return load_qwen3_vl(str(tiny_folder("embedding")), device="cpu")


def fill_device(
    encoder: Qwen3VLEncoder, monkeypatch: pytest.MonkeyPatch, fits: Callable[[Sequence[Any]], bool]
) -> None:
    """The real forward pass, on a device that holds only batches that `fits`."""
    import torch

    backbone = encoder.forward_pass.backbone
    pooled = backbone.pooled

    def limited(batch: Sequence[Any], pooling: Any) -> Any:
        if not fits(batch):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pooled(batch, pooling)

    monkeypatch.setattr(backbone, "pooled", limited)


def test_out_of_memory_halves_the_batch_and_all_items_succeed(
    encoder: Qwen3VLEncoder, inputs: list[EncoderInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = encode(encoder, inputs, "document").unwrap()
    assert encoder.oom_splits == 0
    fill_device(encoder, monkeypatch, lambda batch: len(batch) <= (len(inputs) + 1) // 2)
    np.testing.assert_allclose(encode(encoder, inputs, "document").unwrap(), expected, atol=1e-5)
    assert encoder.oom_splits == 1


def test_an_item_that_does_not_fit_alone_fails_alone(
    encoder: Qwen3VLEncoder, inputs: list[EncoderInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = encode(encoder, inputs, "document").unwrap()
    prepared = [encoder.preparer(item, "document") for item in inputs]
    largest = int(np.argmax([item.cost for item in prepared]))
    limit = prepared[largest].cost
    fill_device(encoder, monkeypatch, lambda batch: all(len(item.ids) < limit for item in batch))
    with pytest.raises(OutOfMemory, match="lower max_pixels") as caught:
        encoder.forward(prepared)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.rows == (largest,)
    others = [row for row in range(len(inputs)) if row != largest]
    np.testing.assert_allclose(again.vectors[others], expected[others], atol=1e-5)
    assert not again.vectors[largest].any()


def test_a_thinking_checkpoint_is_refused_with_the_reason(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="chain of thought"):
        load_qwen3_vl(str(tiny_folder("thinking")), device="cpu")
    disguised = tmp_path / "tiny-embedding"
    shutil.copytree(tiny_folder("embedding"), disguised)
    template = disguised / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant\n{% endif", "assistant\n<think>\n{% endif"))
    with pytest.raises(ModelUnavailable, match="opens a chain of thought"):
        load_qwen3_vl(str(disguised), device="cpu")


def test_an_unknown_dimension_lists_the_allowed_ones(tiny_folder: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match="one of 128, 64, not 100") as caught:
        load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", dimensions=100)
    assert (caught.value.code, caught.value.param) == ("unknown_dimensions", "dimensions")
    with pytest.raises(InputError, match="one of 128, not 64"):
        load_qwen3_vl(str(tiny_folder("instruct")), device="cpu", dimensions=64)


def test_a_family_that_the_name_does_not_tell_must_be_given(tmp_path: Path) -> None:
    folder = build_tiny_qwen3_vl(tmp_path / "mine")
    (folder / "crossray.json").unlink()
    with pytest.raises(ModelUnavailable, match="set family"):
        load_qwen3_vl(str(folder), device="cpu")
    assert load_qwen3_vl(str(folder), device="cpu", family="embedding").info.contract.pooling == "last-token"
    with pytest.raises(ModelUnavailable, match="unknown family"):
        load_qwen3_vl(str(folder), device="cpu", family="clip")


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = build_tiny_qwen3_vl(tmp_path / "tiny-embedding")
    weights = load_file(folder / "model.safetensors")
    del weights["model.language_model.norm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"lacks weights: .*norm\.weight"):
        load_qwen3_vl(str(folder), device="cpu")


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(ModelUnavailable, match="is a clip model, not a qwen3_vl one"):
        load_qwen3_vl(str(tmp_path), device="cpu")


def test_a_state_that_is_not_finite_is_an_error(encoder: Qwen3VLEncoder) -> None:
    import torch

    with torch.no_grad():
        encoder.forward_pass.backbone.model.language_model.norm.weight[0] = float("inf")
    with pytest.raises(EncoderError, match="not finite in fp32"):
        encode(encoder, [EncoderInput(text="a cat")], "document")


def test_a_closed_encoder_says_so(encoder: Qwen3VLEncoder) -> None:
    encoder.close()
    encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        encode(encoder, [EncoderInput(text="a cat")], "document")


def test_attention_is_picked_by_what_is_there() -> None:
    assert pick_attention("auto", "cpu", "fp32") == "sdpa"
    assert pick_attention("eager", "cpu", "fp32") == "eager"
    with pytest.raises(ModelUnavailable, match="unknown attention"):
        pick_attention("fast", "cpu", "fp32")
    with pytest.raises(ModelUnavailable, match=r"pip install flash-attn|needs CUDA"):
        pick_attention("flash_attention_2", "cpu", "bf16")


def test_devices_and_precisions_that_are_not_there_are_refused(tiny_folder: Callable[[str], Path]) -> None:
    import torch

    with pytest.raises(ModelUnavailable, match="unknown precision 'int3'"):
        load_qwen3_vl(str(tiny_folder("embedding")), device="cpu", precision="int3")
    if not torch.cuda.is_available():
        with pytest.raises(ModelUnavailable, match="no CUDA device"):
            load_qwen3_vl(str(tiny_folder("embedding")), device="cuda")
