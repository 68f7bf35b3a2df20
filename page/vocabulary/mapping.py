"""The tab Map."""

from __future__ import annotations

MAPPING: dict[str, tuple[str, str]] = {
    "map.note": (
        "Each dot is an item; near dots have similar vectors. It is a projection onto the two directions in which the "
        "vectors differ most (PCA): much is lost, so look at it as a hint.",
        "每个点是一个条目，相近的点向量相似。这是在向量差异最大的两个方向上的投影（PCA），会丢失许多信息，仅供参考。",
    ),
    "map.query": ("Show a query in it (optional)", "在图中显示一个查询（可不填）"),
    "map.button": ("Draw", "绘制"),
    "map.all": ("All {count} items.", "全部 {count} 项。"),
    "map.sampled": (
        "{shown} of {count} items: the first in order of their ids. Ids made from content are as good as drawn at "
        "random; ids of your own may not be.",
        "{count} 项中的 {shown} 项：按 id 顺序取前面的。由内容生成的 id 近似随机抽样，自定的 id 则未必。",
    ),
    "map.kept": ("The two directions hold {percent} % of the variance.", "这两个方向保留了 {percent}% 的方差。"),
    "map.too_few": (
        "A map needs at least {least} items; here are {count}.",
        "绘图至少需要 {least} 项，目前有 {count} 项。",
    ),
    "map.label": (
        "Map of {shown} items. Arrow keys go from dot to dot, Enter opens the image.",
        "{shown} 个条目的分布图。用方向键在点之间移动，按 Enter 打开图片。",
    ),
    "map.hint": (
        "Point at a dot, or use the arrow keys, to see the item.",
        "将鼠标移到点上或用方向键查看条目。",
    ),
    "map.near": (
        "The {count} dots in colour are the nearest to “{query}” (the star) by cosine, best first:",
        "彩色的 {count} 个点是与“{query}”（星形）余弦最接近的，依次为：",
    ),
    "map.near_some": (
        "Of the {found} items that are the nearest to “{query}” (the star) by cosine {count} are among the dots shown, "
        "in colour, best first:",
        "与“{query}”（星形）余弦最接近的 {found} 项中，有 {count} 项在所示的点中（彩色），依次为：",
    ),
    "map.far": (
        "Of what is nearest to “{query}” nothing is among the dots shown.",
        "与“{query}”最接近的内容不在所示的点中。",
    ),
    "map.kind.image": ("image", "图片"),
    "map.kind.text": ("text", "文字"),
    "map.kind.image_text": ("image with text", "图文"),
    "map.kind.near": ("near the query", "接近查询"),
    "map.kind.query": ("query", "查询"),
}
