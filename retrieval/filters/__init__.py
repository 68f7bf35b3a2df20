"""The filter language, which rows a search may answer with: `tree` is what a filter means, `parser` its JSON form."""

from retrieval.filters.parser import MAX_DEPTH, MAX_NODES, parse_filter, to_json
from retrieval.filters.tree import (
    KEY,
    KEY_RULE,
    MAX_INT,
    METADATA,
    RESERVED,
    TEXTS,
    And,
    Contains,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Ordering,
    Range,
    Value,
    fold,
    in_order,
    is_scalar_number,
    matches,
    type_of,
)  # fmt: skip

__all__ = [
    "KEY", "KEY_RULE", "MAX_DEPTH", "MAX_INT", "MAX_NODES", "METADATA", "RESERVED", "TEXTS", "And", "Contains",
    "Exists", "Filter", "In", "Not", "Or", "Ordering", "Range", "Value", "fold", "in_order", "is_scalar_number",
    "matches", "parse_filter", "to_json", "type_of",
]  # fmt: skip
