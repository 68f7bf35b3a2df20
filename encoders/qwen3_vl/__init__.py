"""Qwen3-VL as an encoder of texts, images and both, and as a reranker.

`family` says what a checkpoint is for, `prompt` writes its chat text, `preparer` does the CPU half, `encoder` the
forward pass, `reranker` scores pairs. `vision` holds the two places where we compute the same numbers faster.

Source: Qwen3-VL-Embedding and Qwen3-VL-Reranker technical report, https://arxiv.org/abs/2601.04720.
"""
