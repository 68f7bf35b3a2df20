"""The tab Status."""

from __future__ import annotations

STATUS: dict[str, tuple[str, str]] = {
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
    "status.now": ("What it does now", "当前运行"),
    "status.part": ("Part", "组件"),
    "status.state": ("State", "状态"),
    "status.replicas": ("Replicas", "副本"),
    "status.parts": ("The parts of the cluster and their replicas", "集群的组件及其副本"),
    "status.queue": ("waiting for the encoder", "等待编码"),
    "status.queue.value": ("{interactive} of searches, {bulk} of indexing", "检索 {interactive}，收录 {bulk}"),
    "status.throughput": ("Requests of the last {window} s", "近 {window} 秒的请求"),
    "status.errors": ("errors", "错误"),
    "status.cache": ("embedding cache", "向量缓存"),
    "status.cache.value": (
        "{percent} % of {looked_up} inputs were there already",
        "{looked_up} 个输入中 {percent}% 已有缓存",
    ),
    "status.cache.none": ("nothing looked up yet", "尚无查询"),
    "status.of_one": (
        "Requests and cache hits are those of the one ingress process that answered; the queue is that of one replica "
        "of the encoder.",
        "请求与缓存命中来自应答的那个入口进程；排队数来自编码器的一个副本。",
    ),
    "status.call": ("Call", "调用"),
    "status.rate": ("a second", "每秒"),
    "status.mean": ("mean time", "平均用时"),
    "status.no_calls": ("No requests in the last {window} s.", "近 {window} 秒没有请求。"),
}
