"""Pieces of HTML that every tab uses. Whatever comes from a person or the API goes through `text`."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from page.api import ApiFault
from page.words import Words

EVENTS = ("more", "remove", "browse")
"""What a button inside our HTML can ask for: `data-event`, with the rest of its `data-…` as the event's data."""

BUTTONS_JS = f"""
const events = [{", ".join(repr(name) for name in EVENTS)}];
element.addEventListener('click', (click) => {{
  const button = click.target.closest('button[data-event]');
  if (!button || !events.includes(button.dataset.event)) return;
  if (button.dataset.confirm && !window.confirm(button.dataset.confirm)) return;
  trigger(button.dataset.event, {{...button.dataset}});
}});
"""
"""For `gr.HTML(js_on_load=…)`: clicks on such buttons become Gradio events of these names."""


def text(value: object) -> str:
    """A value as text inside an element or a quoted attribute."""
    return escape(str(value), quote=True)


def button(label: str, event: str, **data: str) -> str:
    """A button that raises `event` with `data`."""
    attributes = "".join(f' data-{name}="{text(value)}"' for name, value in data.items())
    return f'<button type="button" class="cr-button" data-event="{event}"{attributes}>{text(label)}</button>'


def note(message: str, kind: str = "plain") -> str:
    """A line for the reader, which a screen reader speaks too; `kind` is plain, or fault."""
    role = "alert" if kind == "fault" else "status"
    return f'<p class="cr-note cr-{kind}" role="{role}">{text(message)}</p>'


def fault(words: Words, error: ApiFault) -> str:
    key = "fault.unreachable" if error.status == 0 else "fault"
    return note(words(key, message=error.message), "fault")


def facts(pairs: list[tuple[str, object]]) -> str:
    """Names and values, as a definition list."""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f'<dl class="cr-facts">{rows}</dl>'


def image_url(id: str, size: str) -> str:
    """Where the browser finds a stored image on the same server; `size` is thumbnail or image."""
    return f"/v1/items/{quote(id, safe='')}/{size}"
