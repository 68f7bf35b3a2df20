"""From an answer's JSON to its dataclass, checked: what the client hands out has the types that it says."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(kind: type[T], value: Any) -> T:
    """`value` as `kind`, a dataclass. Fields that `kind` does not have are passed over.

    Raises ValueError naming the field that is missing or of another type.
    """
    return cast(T, _decode(kind, value, "answer"))


def _decode(kind: Any, value: Any, path: str) -> Any:
    if is_dataclass(kind):
        return _dataclass(kind, value, path)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _union(arguments, value, path)
    if origin is list and isinstance(value, list):
        (element,) = arguments
        if element is float and all(type(number) is float for number in value):
            return value  # the long lists are vectors
        return [_decode(element, one, f"{path}[{row}]") for row, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {str(key): _decode(arguments[1], one, f"{path}.{key}") for key, one in value.items()}
    if kind is Any or (isinstance(kind, type) and type(value) is kind):
        return value
    if kind is float and type(value) is int:
        return float(value)
    raise ValueError(f"{path} is {type(value).__name__}, not {getattr(kind, '__name__', kind)}")


def _dataclass(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{path} is {type(value).__name__}, not an object")
    read = {}
    for name, (hint, is_required) in _fields(kind).items():
        if name in value:
            read[name] = _decode(hint, value[name], f"{path}.{name}")
        elif is_required:
            raise ValueError(f"{path}.{name} is missing")
    return kind(**read)


def _union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    """The first member that fits."""
    if value is None and NoneType in kinds:
        return None
    faults = []
    for kind in kinds:
        try:
            return _decode(kind, value, path)
        except ValueError as error:
            faults.append(str(error))
    raise ValueError(faults[0])


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
    }
