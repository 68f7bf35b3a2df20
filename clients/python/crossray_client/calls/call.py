"""A call as a value: what to send, and how to read the answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from crossray_client.errors import Answered
from crossray_client.inputs import Content, ImageSource, check_image

T = TypeVar("T")
Retried: TypeAlias = Literal["always", "unsent", "never"]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call. Its body is `json`, or the multipart form of `fields` and the `image` or the `uploads`, which are
    streamed: a field's name with each file.

    `read` makes the result of a successful answer, or of one whose status it `accepts`, and raises ValueError for what
    is no such answer. A `pinned` call concerns vectors, and counts on the client's fingerprint. `if_gone` is the result
    when a repeat finds nothing, because an earlier attempt whose answer was lost did it.

    A call that is `retried` "unsent" would do its work twice: it is sent again only where the attempt before cannot
    have arrived, or was turned away by a full queue.
    """

    method: str
    path: str
    read: Callable[[Answered], T]
    params: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    image: ImageSource | None = None
    uploads: Sequence[tuple[str, ImageSource]] = ()
    pinned: bool = False
    retried: Retried = "always"
    accepts: frozenset[int] = frozenset()
    if_gone: T | None = None


def with_image(
    path: str, read: Callable[[Answered], T], fields: Mapping[str, Any], image: ImageSource | None
) -> Call[T]:
    """JSON, or a form where there is an image, so that its bytes travel as they are."""
    if image is None:
        return Call("POST", path, read, json=fields, pinned=True)
    check_image(image)
    form = {name: value if name == "tags" else form_value(value) for name, value in fields.items()}
    return Call("POST", path, read, fields=form, image=image, pinned=True)


def form_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def content(one: str | Content) -> str | dict[str, Any]:
    return one if isinstance(one, str) else one.body()


def path_of(kind: str, id: str) -> str:
    """The path of one item, job or collection. An id that would name another path is refused."""
    if not id.strip(".") or "/" in id:
        raise ValueError(f"{id!r} is no {kind}'s id")
    return f"/v1/{kind}s/" + quote(id, safe="")
