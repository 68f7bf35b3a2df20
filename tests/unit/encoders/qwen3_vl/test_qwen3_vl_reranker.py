"""The reranker's score is that of a plain forward pass with all logits, alone or in a batch."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encoders import EncoderInput, ModelUnavailable
from encoders.images import ImageLimits, decode
from encoders.qwen3_vl.encoder import load_qwen3_vl
from encoders.qwen3_vl.reranker import INSTRUCTION, SYSTEM, Qwen3VLReranker, load_qwen3_vl_reranker
from encoders.reranking import score
from tests.tiny.inputs import picture

QUERIES = (
    EncoderInput(text="a cat on a sofa"),
    EncoderInput(image=picture(96, 64, 7)),
    EncoderInput(text="like this, at sunset", image=picture(64, 64, 8)),
)


@pytest.fixture(scope="module")
def reranker(tiny_folder: Callable[[str], Path]) -> Qwen3VLReranker:
    return load_qwen3_vl_reranker(str(tiny_folder("reranker")), device="cpu")


class PlainReranker:
    """One pair, one forward pass of the causal model, softmax over the logits of yes and no."""

    def __init__(self, folder: Path, reference: Any) -> None:
        import torch
        from transformers import Qwen3VLForConditionalGeneration

        self.model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.reference = reference

    def shown(self, item: EncoderInput) -> str:
        pads = "<|image_pad|>" * self.reference.visual_tokens(item.image)
        image = f"<|vision_start|>{pads}<|vision_end|>" if item.image else ""
        return image + (item.text or "")

    def score(self, query: EncoderInput, document: EncoderInput, instruction: str = INSTRUCTION) -> float:
        import torch

        prompt = (
            f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<Instruct>: {instruction}"
            f"<Query>:{self.shown(query)}\n<Document>:{self.shown(document)}<|im_end|>\n<|im_start|>assistant\n"
        )
        tokenizer = self.reference.tokenizer
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        extra: dict[str, Any] = {}
        images = [item.image for item in (query, document) if item.image]
        if images:
            extra = {
                **self.reference.process(images),
                "mm_token_type_ids": (ids == tokenizer.vocab["<|image_pad|>"]).int(),
            }
        with torch.no_grad():
            logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra).logits[0, -1]
        return float(torch.softmax(logits[[tokenizer.vocab["no"], tokenizer.vocab["yes"]]], dim=0)[1])

    def scores(self, query: EncoderInput, documents: Sequence[EncoderInput]) -> np.ndarray:
        return np.asarray([self.score(query, document) for document in documents], dtype=np.float32)


@pytest.fixture(scope="module")
def plain(tiny_folder: Callable[[str], Path], reference: Any) -> PlainReranker:
    return PlainReranker(tiny_folder("reranker"), reference)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.modality)
def test_batch_and_single_scores_equal_a_plain_forward_pass(
    query: EncoderInput, reranker: Qwen3VLReranker, plain: PlainReranker, inputs: list[EncoderInput]
) -> None:
    expected = plain.scores(query, inputs)
    batch = score(reranker, query, inputs)
    single = np.concatenate([score(reranker, query, [document]) for document in inputs])
    print(
        f"scores spread over {expected.min():.3f}…{expected.max():.3f}, largest error {abs(batch - expected).max():.1e}"
    )
    assert batch.dtype == np.float32
    assert batch.shape == (len(inputs),)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(batch, expected, atol=1e-5)
    np.testing.assert_allclose(single, expected, atol=1e-5)


def test_left_padding_scores_the_same(
    tiny_folder: Callable[[str], Path], plain: PlainReranker, inputs: list[EncoderInput]
) -> None:
    left = load_qwen3_vl_reranker(str(tiny_folder("reranker")), device="cpu", padding_side="left")
    np.testing.assert_allclose(score(left, QUERIES[0], inputs), plain.scores(QUERIES[0], inputs), atol=1e-5)


def test_the_instruction_is_part_of_the_question(reranker: Qwen3VLReranker, plain: PlainReranker) -> None:
    document = EncoderInput(text="two dogs")
    other = "Find pictures of animals."
    scored = float(score(reranker, QUERIES[0], [document], other)[0])
    assert scored == pytest.approx(plain.score(QUERIES[0], document, other), abs=1e-5)
    assert scored != pytest.approx(plain.score(QUERIES[0], document), abs=1e-4)


def test_query_and_document_images_keep_their_places(reranker: Qwen3VLReranker, plain: PlainReranker) -> None:
    first, second = EncoderInput(image=picture(64, 64, 1)), EncoderInput(image=picture(64, 64, 2))
    there, back = float(score(reranker, first, [second])[0]), float(score(reranker, second, [first])[0])
    assert there == pytest.approx(plain.score(first, second), abs=1e-5)
    assert there != pytest.approx(back, abs=1e-5)


def test_no_documents_no_scores(reranker: Qwen3VLReranker) -> None:
    assert score(reranker, QUERIES[0], []).shape == (0,)


def test_the_preparer_pickles(reranker: Qwen3VLReranker) -> None:
    preparer = pickle.loads(pickle.dumps(reranker.preparer))
    query, document = QUERIES[1], EncoderInput(text="two dogs")
    again = preparer(pickle.loads(pickle.dumps(preparer.query(query))), document)
    np.testing.assert_array_equal(reranker.forward([again]), score(reranker, query, [document]))


def test_the_picture_of_a_query_is_decoded_once(reranker: Qwen3VLReranker, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def counting(data: bytes, limits: ImageLimits) -> Any:
        decoded.append(data)
        return decode(data, limits)

    monkeypatch.setattr("encoders.qwen3_vl.preparer.decode", counting)
    query = EncoderInput(image=picture(64, 64, 1))
    score(reranker, query, [EncoderInput(text=text) for text in ("two dogs", "a beach", "rain")])
    assert decoded == [query.image]


def test_each_family_is_refused_in_the_others_place(tiny_folder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelUnavailable, match="embedding checkpoint, not a reranker"):
        load_qwen3_vl_reranker(str(tiny_folder("embedding")), device="cpu")
    with pytest.raises(ModelUnavailable, match="scores pairs and makes no vectors"):
        load_qwen3_vl(str(tiny_folder("reranker")), device="cpu")
