"""What stands around the tabs, and what the API could not do."""

from __future__ import annotations

FRAME: dict[str, tuple[str, str]] = {
    "title": ("Crossray", "Crossray"),
    "subtitle": (
        "Find images by text, images by image, and texts by image.",
        "以文搜图、以图搜图、以图搜文。",
    ),
    "switch": ("中文", "English"),
    "switch.label": ("这个页面的中文版", "This page in English"),
    "log_out": ("Log out", "退出登录"),
    "tab.search": ("Search", "搜索"),
    "tab.index": ("Index", "收录"),
    "tab.embedding": ("Embedding", "向量"),
    "tab.match": ("Match", "匹配"),
    "tab.status": ("Status", "状态"),
    "fault": ("The API says: {message}", "接口返回：{message}"),
    "fault.unreachable": ("The API does not answer: {message}", "接口没有响应：{message}"),
    "tab.map": ("Map", "分布图"),
    "refresh": ("Refresh", "刷新"),
    "collection": ("Collection", "集合"),
}
