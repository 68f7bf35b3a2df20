"""Texts of our own that the demo indexes beside the photos, in English and Chinese, on different matters."""

from __future__ import annotations

from cluster.indexing.rows import Row

ENGLISH = {
    "cats": "Cats sleep up to sixteen hours a day and groom their fur with a rough tongue.",
    "coffee": "The little café by the harbour roasts its own beans and pours a fine espresso.",
    "space": "The rocket stood on the launch pad while the crew waited for the countdown.",
    "moon": "Craters on the moon were made by meteorites, billions of years ago.",
    "motorcycles": "Change the oil and check the chain before you take the motorcycle on a long ride.",
    "flowers": "Dahlias bloom from midsummer until the first frost and like full sun.",
    "coins": "The museum shows silver coins that merchants carried along the old trade routes.",
    "medicine": "An eye doctor looks at the retina to find early signs of diabetes.",
    "photography": "A tripod keeps the camera still during a long exposure.",
    "temples": "Visitors climb the stairs of the old temple on the hill to look over the lake.",
    "food": "Knead the dough for ten minutes, let it rise, and bake the bread until it is golden.",
    "weather": "Heavy snow is expected in the mountains tonight, with strong wind on the passes.",
    "sport": "She scored in the last minute of the football match and the whole stadium cheered.",
    "music": "The violinist tuned her instrument before the concert began.",
    "trains": "The night train to the coast leaves from platform seven at a quarter past ten.",
}
CHINESE = {
    "cats": "小猫喜欢在阳光下睡觉，醒来就追着毛线球跑。",
    "coffee": "这家咖啡馆的拿铁很香，早上总有人排队。",
    "space": "宇航员在空间站里做实验，每天绕地球十六圈。",
    "moon": "中秋节的晚上，一家人坐在院子里看月亮、吃月饼。",
    "motorcycles": "骑摩托车一定要戴头盔，雨天要慢一点。",
    "flowers": "春天公园里开满了花，蜜蜂忙着采蜜。",
    "coins": "他从小收集古代的铜钱和银币。",
    "medicine": "医生建议每年检查一次眼睛。",
    "photography": "傍晚的光线柔和，适合拍人像。",
    "temples": "湖边的古塔有六百多年的历史。",
    "food": "奶奶包的饺子皮薄馅大，蘸醋最好吃。",
    "weather": "明天有大雨，出门请带伞。",
    "sport": "孩子们放学后在操场上踢足球。",
    "music": "她每天练习两个小时钢琴。",
    "trains": "从北京到上海的高铁只要四个半小时。",
}


def demo_texts() -> list[Row]:
    """Each with its language and topic as metadata."""
    return [
        Row(f"{language}/{topic}", text=text, tags=("note",), metadata={"lang": language, "topic": topic})
        for language, texts in (("en", ENGLISH), ("zh", CHINESE))
        for topic, text in texts.items()
    ]
