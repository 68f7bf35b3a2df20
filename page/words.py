"""What the page says, in English and in Chinese. Messages of the API itself are shown as it wrote them: in English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]

WORDS: dict[str, tuple[str, str]] = {
    "title": ("Crossray", "Crossray"),
    "subtitle": (
        "Find images by text, images by image, and texts by image.",
        "以文搜图、以图搜图、以图搜文。",
    ),
    "switch": ("中文", "English"),
    "switch.label": ("这个页面的中文版", "This page in English"),
    "tab.search": ("Search", "搜索"),
    "tab.add": ("Add", "添加"),
    "tab.embedding": ("Embedding", "向量"),
    "tab.match": ("Match", "匹配"),
    "tab.status": ("Status", "状态"),
    "search.text": ("What to look for, in English or Chinese", "想找什么（中文或英文）"),
    "search.placeholder": ("a dog on a beach", "海边的狗"),
    "search.image": ("and/or an image: upload or paste", "和/或一张图片：上传或粘贴"),
    "search.target": ("Find", "查找"),
    "search.any": ("everything", "全部"),
    "search.images": ("images", "图片"),
    "search.texts": ("texts", "文字"),
    "search.mode": ("Search by", "检索方式"),
    "search.dense": ("meaning", "语义"),
    "search.lexical": ("words", "词语"),
    "search.hybrid": ("both", "两者"),
    "search.top_k": ("How many", "数量"),
    "search.button": ("Retrieve", "检索"),
    "search.nothing_asked": ("Type something to look for, or give an image.", "请输入要找的内容，或给出一张图片。"),
    "search.nothing_indexed": (
        "Nothing is indexed yet: add photos in the tab Add.",
        "还没有任何内容：请先在“添加”页添加照片。",
    ),
    "search.ready": ("{count} items are indexed.", "已收录 {count} 项。"),
    "search.no_hits": (
        "No hits: none of the {count} items is of the kind asked for.",
        "没有结果：已收录的 {count} 项中没有所要的类型。",
    ),
    "search.hits": ("{count} hits in {total} ms", "{count} 个结果，用时 {total} 毫秒"),
    "search.like": ("More like {name}: ", "与 {name} 相似："),
    "search.rewritten": ("searched for “{query}”", "实际检索“{query}”"),
    "search.results": ("Results", "结果"),
    "stage.read": ("read", "读取"),
    "stage.cache": ("cache", "缓存"),
    "stage.prepare": ("prepare", "预处理"),
    "stage.encode_queue": ("queue", "排队"),
    "stage.encode_call": ("call", "调用"),
    "stage.rewrite": ("rewrite", "改写"),
    "stage.encode": ("encode", "编码"),
    "stage.search": ("search", "检索"),
    "stage.rerank": ("rerank", "重排"),
    "stage.render": ("render", "输出"),
    "card.more": ("More like this", "找相似"),
    "card.score": ("cosine similarity to the query", "与查询的余弦相似度"),
    "card.words": ("words", "词语"),
    "card.rerank": ("relevance", "相关度"),
    "card.image": ("the image of item {id}", "条目 {id} 的图片"),
    "card.ocr": ("text in the image", "图中文字"),
    "card.tags": ("tags", "标签"),
    "card.source": ("source", "来源"),
    "card.size": ("{width} × {height} pixels", "{width} × {height} 像素"),
    "card.delete": ("Delete", "删除"),
    "card.confirm": ("Delete “{name}” for good?", "确定永久删除“{name}”？"),
    "add.files": ("Photos to add (several at once)", "要添加的照片（可多选）"),
    "add.tags": ("Tags, separated by commas (optional)", "标签，用逗号分隔（可不填）"),
    "add.button": ("Add", "添加"),
    "add.none": ("Choose photos first.", "请先选择照片。"),
    "add.progress": ("{done} of {total} done", "已完成 {done} / {total}"),
    "add.summary": (
        "{stored} added, {known} there already, {failed} failed",
        "新增 {stored}，已有 {known}，失败 {failed}",
    ),
    "add.waiting": ("waiting", "等待中"),
    "add.stored": ("added", "已添加"),
    "add.known": ("there already", "已存在"),
    "add.failed": ("failed: {why}", "失败：{why}"),
    "add.file": ("File", "文件"),
    "add.outcome": ("Outcome", "结果"),
    "browse.title": ("What is stored", "已收录内容"),
    "browse.count": ("{count} items", "共 {count} 项"),
    "browse.next": ("Next page", "下一页"),
    "browse.first": ("First page", "第一页"),
    "browse.refresh": ("Refresh", "刷新"),
    "browse.deleted": ("“{name}” was deleted.", "已删除“{name}”。"),
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
    "status.refresh": ("Refresh", "刷新"),
    "status.health": ("Health", "运行状况"),
    "status.ok": ("ready", "就绪"),
    "status.starting": ("starting", "启动中"),
    "status.degraded": ("degraded", "异常"),
    "status.encoder": ("encoder", "编码器"),
    "status.index": ("index", "索引"),
    "status.count": ("items", "条目数"),
    "status.models": ("Models and their vector contracts", "模型及其向量契约"),
    "status.dimensions": ("dimensions", "维数"),
    "status.languages": ("languages", "语言"),
    "status.modalities": ("modalities", "模态"),
    "status.contract": ("contract", "契约"),
    "fault": ("The API says: {message}", "接口返回：{message}"),
    "fault.unreachable": ("The API does not answer: {message}", "接口没有响应：{message}"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """The page's words in one language."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The words for a key, its `{names}` filled in. Raises KeyError for a key that is not there."""
        words = WORDS[key][0 if self.language == "en" else 1]
        return words.format(**values) if values else words

    def stage(self, name: str) -> str:
        """A stage of a search; one that this page has no words for keeps the API's name."""
        return self(f"stage.{name}") if f"stage.{name}" in WORDS else name
