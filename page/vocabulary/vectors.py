"""The tabs Embedding and Match."""

from __future__ import annotations

VECTORS: dict[str, tuple[str, str]] = {
    "embedding.query": ("Input A, embedded as a query", "输入 A（按查询编码）"),
    "embedding.document": (
        "Input B (optional), embedded as a stored item",
        "输入 B（可不填，按收录内容编码）",
    ),
    "embedding.text": ("Text", "文字"),
    "embedding.image": ("and/or an image", "和/或图片"),
    "embedding.button": ("Embedding", "求向量"),
    "embedding.none": ("Give a text or an image as input A.", "请给出输入 A 的文字或图片。"),
    "embedding.dimension": ("dimension", "维数"),
    "embedding.norm": ("norm", "范数"),
    "embedding.fingerprint": ("fingerprint of the vector contract", "向量契约指纹"),
    "embedding.model": ("model", "模型"),
    "embedding.cosine": ("Cosine of A and B", "A 与 B 的余弦"),
    "embedding.cosine.note": ("what a search by A would score B", "用 A 搜索时 B 的得分"),
    "embedding.plot": (
        "the {dimension} components in order, from {low} to {high}",
        "依次为 {dimension} 个分量，从 {low} 到 {high}",
    ),
    "embedding.download": ("Download", "下载"),
    "match.images": ("Images (several at once)", "图片（可多选）"),
    "match.texts": ("Texts, one a line", "文字，每行一条"),
    "match.button": ("Match", "匹配"),
    "match.none": ("Give at least one image and one text.", "请至少给出一张图片和一条文字。"),
    "match.caption": ("Cosine of each text (row) and each image (column)", "每条文字（行）与每张图片（列）的余弦"),
    "match.probability": ("match probability {value}", "匹配概率 {value}"),
    "match.corner": ("Text", "文字"),
}
