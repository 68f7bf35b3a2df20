"""Pieces of HTML that every tab uses. Whatever comes from a person or the API goes through `text`."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from page.api import DEFAULT, ApiFault
from page.words import Words

EVENTS = ("more", "remove", "browse", "jobs", "cancel", "retry")
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


def button(label: str, event: str, spoken: str = "", **data: str) -> str:
    """A button that raises `event` with `data`. `spoken` is its name where many have the same label."""
    attributes = "".join(f' data-{name}="{text(value)}"' for name, value in data.items())
    attributes += f' aria-label="{text(spoken)}"' if spoken else ""
    return f'<button type="button" class="cr-button" data-event="{event}"{attributes}>{text(label)}</button>'


def note(message: str, kind: str = "plain") -> str:
    """A line for the reader, which a screen reader speaks too; `kind` is plain, or fault."""
    role = "alert" if kind == "fault" else "status"
    return f'<p class="cr-note cr-{kind}" role="{role}">{text(message)}</p>'


def fault(words: Words, error: ApiFault) -> str:
    if cause := words.cause(error.code):
        message = f'<span class="cr-why" lang="en">{text(error.message)}</span>'
        return f'<p class="cr-note cr-fault" role="alert">{text(cause)} {message}</p>'
    key = "fault.unreachable" if error.status == 0 else "fault"
    return note(words(key, message=error.message), "fault")


def facts(pairs: list[tuple[str, object]]) -> str:
    """Names and values, as a definition list; nothing where there are none."""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)
    return f'<dl class="cr-facts">{rows}</dl>' if rows else ""


def scrolled(label: str, table: str) -> str:
    """A table that may be wider than the page: it scrolls by itself, by keyboard too. `label` names it."""
    return f'<div class="cr-scroll" role="region" tabindex="0" aria-label="{text(label)}">{table}</div>'


def image_url(id: str, size: str, collection: str = DEFAULT) -> str:
    """Where the browser finds a stored image, below the page's own path; `size` is thumbnail or image."""
    where = "" if collection == DEFAULT else f"?collection={quote(collection, safe='')}"
    return f"v1/items/{quote(id, safe='')}/{size}{where}"
