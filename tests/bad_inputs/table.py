"""Every request that must be refused."""

from __future__ import annotations

from tests.bad_inputs.case import BadInput
from tests.bad_inputs.embeddings import embedding_cases
from tests.bad_inputs.framing import body_cases, form_cases
from tests.bad_inputs.images import image_cases
from tests.bad_inputs.items import item_cases
from tests.bad_inputs.routes import route_cases
from tests.bad_inputs.searches import filter_cases, search_cases
from tests.bad_inputs.texts import text_cases
from tests.bad_inputs.vectors import vector_cases

GROUPS = (
    image_cases,
    vector_cases,
    text_cases,
    body_cases,
    form_cases,
    search_cases,
    filter_cases,
    item_cases,
    embedding_cases,
    route_cases,
)


def bad_inputs() -> list[BadInput]:
    """The whole table."""
    return [case for group in GROUPS for case in group()]
