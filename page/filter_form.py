"""The form of a filter: tags and a few conditions, as people fill them in, become the API's structured filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from page.api import Json
from page.words import Words

OPERATORS = ("eq", "ne", "gte", "lte", "contains", "exists")
TRUTHS = {"true": True, "false": False}
QUOTES = (('"', '"'), ("“", "”"))


class FormFault(Exception):
    """What was filled in cannot be asked; `message` is for the person who did."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of the form. A line without a field and without a value says nothing."""

    field: str = ""
    op: str = "eq"
    value: str = ""


def as_filter(words: Words, tags: Sequence[str], conditions: Sequence[Condition]) -> Json | None:
    """All that is filled in, together; None where nothing is. What the fields mean is the API's to say.

    Raises FormFault for a line that is half filled in.
    """
    terms = [{"field": "tags", "op": "any_of", "value": list(tags)}] if tags else []
    terms += [term for condition in conditions if (term := _term(words, condition)) is not None]
    if len(terms) < 2:
        return terms[0] if terms else None
    return {"and": terms}


def _term(words: Words, condition: Condition) -> Json | None:
    field, given = condition.field.strip(), condition.value.strip()
    if not field:
        if given:
            raise FormFault(words("filter.no_field"))
        return None
    if condition.op == "exists":
        return {"field": field, "op": "exists", "value": True}
    if not given:
        raise FormFault(words("filter.no_value", field=field))
    return {"field": field, "op": condition.op, "value": given if condition.op == "contains" else as_value(given)}


def as_value(given: str) -> str | int | float | bool:
    """A number or a truth value where it looks like one, else a text; in quotes it is a text whatever it looks like."""
    for opening, closing in QUOTES:
        if len(given) >= 2 and given.startswith(opening) and given.endswith(closing):
            return given[1:-1]
    if given.lower() in TRUTHS:
        return TRUTHS[given.lower()]
    for number in (int, float):
        try:
            value = number(given)
        except ValueError:
            continue
        if value == value and abs(value) != float("inf"):  # JSON has neither "nan" nor "inf": those are words
            return value
    return given
