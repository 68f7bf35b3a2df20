"""Contact sheets: self-contained, escaped, readable without a server."""

from __future__ import annotations

from html.parser import HTMLParser

from cluster.contact_sheet import SheetHit, SheetSection, data_uri, render_sheet

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


class Elements(HTMLParser):
    """Tags, their addresses, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("img", "meta"):
            self.open.append(tag)
        self.addresses.extend(value or "" for name, value in attrs if name in ("src", "href"))
        self.handlers.extend(name for name, _ in attrs if name.startswith("on"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parse(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    assert elements.open == []
    return elements


def test_nothing_hostile_gets_through() -> None:
    hit = SheetHit(0.5, source=EVIL, text=EVIL, thumbnail=data_uri(b"jpeg", "image/jpeg"), tags=(EVIL,))
    page = parse(render_sheet(EVIL, EVIL, [SheetSection(EVIL, [hit], EVIL, EVIL, {EVIL: 1.0})], EVIL))
    assert "script" not in page.tags
    assert page.handlers == []
    assert page.tags.count("img") == 2
    assert any("<script>" in words for words in page.words)


def test_query_scores_and_times_are_shown_and_pictures_are_inside() -> None:
    uri = data_uri(b"\xff\xd8\xff", "image/jpeg")
    hits = [SheetHit(0.91234, "a.jpg", thumbnail=uri), SheetHit(-0.2, text="一只猫")]
    page = parse(render_sheet("t", "i", [SheetSection("cats", hits, uri, timings_ms={"encode": 4.25, "total": 9.0})]))
    text = " ".join(page.words)
    for shown in ("cats", "0.912", "-0.200", "a.jpg", "一只猫", "encode", "4.2 ms", "9.0 ms"):
        assert shown in text
    assert page.addresses == [uri, uri]


def test_no_answer_is_said() -> None:
    assert "Nothing was found" in render_sheet("t", "i", [SheetSection("q", [])])
