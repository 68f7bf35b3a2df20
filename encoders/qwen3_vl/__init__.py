"""Qwen3-VL as an encoder of texts, images and both, as a reranker, and as a reader of queries.

`family` says what a checkpoint is for, `prompt` writes its chat text, `preparer` does the CPU half, `encoder` the
forward pass, `reranker` scores pairs. `vision` holds the two places where we compute the same numbers faster.
`query_structurer` writes what a query asks for, token by token over `decoding`.

Source: Qwen3-VL-Embedding and Qwen3-VL-Reranker technical report, https://arxiv.org/abs/2601.04720.
"""
