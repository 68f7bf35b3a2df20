"""From a query as people write it to its subject and style, by rules: the same query always gives the same answer.

"Could you show me some paintings of sunflowers, please?" asks for the style `painting` and the subject `sunflowers`;
"请帮我找一张海边日落的照片" asks for `海边日落`. What asks is dropped; what is asked for is kept word by word.
The rules would rather keep too much than drop a word that counts: 看书的女孩 is a girl who reads.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from encoders.queries.base import Structured, StructuredQuery, StructurerInfo, language_of

_PHOTO = r"(?:photo(?:graph)?s?|pictures?|pics?|images?|snapshots?|shots?)"
_STYLES = {
    "painting": r"(?:oil )?paintings?",
    "watercolour": r"watercolou?rs?",
    "drawing": r"drawings?",
    "sketch": r"sketch(?:es)?",
    "cartoon": r"cartoons?",
    "illustration": r"illustrations?",
}
STYLES = tuple(_STYLES)
"""What a query may ask for beside a photo."""

_MEDIUM = "|".join([f"(?P<photo>{_PHOTO})", *(f"(?P<{name}>{forms})" for name, forms in _STYLES.items())])
_SOME = r"(?:(?:a few|a|an|the|some|any|all(?: the)?|my|more)\s+)?"
_ASKING_EN = re.compile(
    r"^(?:(?:hi|hello|hey|please|pls)\b[\s,!]*)*"
    r"(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|(?:can|could|may)\s+i\s+(?=see))?"
    r"(?:(?:i(?:'m| am)\s+(?:looking|searching)\s+for|i(?:'d| would)\s+like(?:\s+to\s+see)?"
    r"|i\s+(?:want|need)(?:\s+to\s+see)?|(?:do\s+you|you)\s+have|are\s+there|is\s+there|let\s+me\s+see|see(?=\s)"
    r"|(?:show|find|get|give|bring)\s+me|search\s+for|look\s+for|find(?=\s+(?:a|an|the|some|any|all|my)\s))\s+)?",
    re.IGNORECASE,
)
_MEDIUM_EN = re.compile(
    rf"^{_SOME}(?:{_MEDIUM})\s+(?:of|showing|depicting|containing|with|that\s+shows?|where|in\s+which)\s+",
    re.IGNORECASE,
)
_THANKS_EN = re.compile(r"[\s,]*\b(?:please|pls|for me|thanks|thank you)\s*$", re.IGNORECASE)

_ARTICLE = re.compile(r"^(?:A|An|The)(?=\s)")

_ASKING_ZH = re.compile(
    r"^(?:你好|您好)?[,，。!！\s]*"
    r"(?:"
    r"(?:(?:请问|请|麻烦|劳驾)?(?:你|您)?(?:能不能|能否|可不可以|可以|能)?(?:再)?(?:帮我|帮忙|给我|替我|为我|让我)"
    r"|我(?:想要?|要|需要|在(?=找))|请(?=[找查搜寻看来显展])|有没有)"
    r"(?:找一?找|找一下|查找|寻找|找出|找到|找|搜索一下|搜索|搜一?搜|搜一下|搜|查一?查|查一下|查|看一?看|看一下|看|显示|展示|来)?"
    r"|(?:查找|寻找|搜索|搜一下|找一下|找找)"
    r"|(?:找|来|看)(?=(?:一|几|两|些)))"
)
_COUNT_ZH = re.compile(r"^(?:一|几|两|三|\d+)?(?:张|幅)|^(?:一些|有关|关于)")
_STYLES_ZH = {"油画": "painting", "水彩画": "watercolour", "素描": "sketch", "漫画": "cartoon", "插画": "illustration"}
_MEDIUM_ZH = re.compile(rf"(?:的?(?P<photo>照片|图片|相片)|的(?P<plain>图像|图)|的?(?P<style>{'|'.join(_STYLES_ZH)}))$")
_END = re.compile(r"[\s.,;:!?。，；：！？、…]+$")
_PARTICLE_ZH = re.compile(r"(?:吗|呢|吧|好吗|谢谢|可以吗)$")


def structure_query(query: str) -> StructuredQuery:
    """Its structure; the whole query is the subject where nothing else would be left."""
    text = " ".join(unicodedata.normalize("NFKC", query).split())
    language = language_of(text)
    subject, style = _strip_zh(text) if language == "zh" else _strip_en(text)
    subject = _ARTICLE.sub(lambda article: article.group().lower(), subject)
    return StructuredQuery(subject or text, style if subject else None, language)


def _strip_en(text: str) -> tuple[str, str | None]:
    text = _END.sub("", _THANKS_EN.sub("", _END.sub("", text)))
    text = _ASKING_EN.sub("", text, count=1)
    medium = _MEDIUM_EN.match(text)
    if medium is None:
        return text, None
    style = next((name for name in _STYLES if medium.group(name)), None)
    return text[medium.end() :], style


def _strip_zh(text: str) -> tuple[str, str | None]:
    text = _END.sub("", _PARTICLE_ZH.sub("", _END.sub("", text)))
    medium = _MEDIUM_ZH.search(text)
    asked = _ASKING_ZH.sub("", text[: medium.start()] if medium else text, count=1)
    subject = _COUNT_ZH.sub("", asked, count=1) if medium or asked != text else asked
    return subject, _STYLES_ZH.get(medium.group("style") or "") if medium else None


class RuleStructurer:
    """The rules as a QueryStructurer. They always find something."""

    @property
    def info(self) -> StructurerInfo:
        return StructurerInfo("rules", "rules", "1", "")

    def structure(self, queries: Sequence[str]) -> list[Structured]:
        return [structure_query(query) for query in queries]

    def close(self) -> None:
        """Nothing to free."""
