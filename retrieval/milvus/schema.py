"""The Milvus collection: its columns, and records to and from its rows.

Metadata lies in one JSON column whose keys carry the type of their value, `color:text`, `year:number`, `sold:boolean`.
Milvus answers a comparison across types with null or with a match (Lite takes true for 1), depending on its version;
with the type in the key it never has to make one.

Milvus has no null that behaves alike everywhere, so an absent text is "", and `ocr_read` tells an image without text
from one that was not read yet. The `_folded` columns are what `contains` looks at: `like` knows upper and lower case.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from retrieval.base import Payload, Record, Scalar
from retrieval.filters import type_of
from retrieval.milvus.expression import fold_column
from retrieval.validation import MAX_ID_CHARS, MAX_SOURCE_CHARS, MAX_TAG_CHARS, MAX_TAGS

CONTRACT_PROPERTY = "crossray.contract"
VECTOR_FIELD = "embedding"
PAYLOAD_FIELDS = (
    "id", "kind", "text", "media", "mime", "width", "height", "source", "tags", "created_at", "attributes",
    "ocr_text", "ocr_read",
)  # fmt: skip

_MAX_VARCHAR_BYTES = 65_535
_UTF8_BYTES = 4
"""Lite counts a VARCHAR's limit in characters, a server in bytes: allow for the longest encoding."""


def collection_name(contract_json: str, dim: int, suffix: str = "") -> str:
    """`crossray_model_dim_hash`, in the letters that Milvus takes. The hash is of the whole contract; `suffix` tells
    collections of one contract from each other."""
    model = str(_decode_object(contract_json).get("model", "space"))
    slug = re.sub(r"[^0-9A-Za-z]+", "_", model).strip("_").lower()[:80]
    return f"crossray_{slug}_{dim}_{hashlib.sha256(contract_json.encode()).hexdigest()[:8]}{suffix}"


def build_schema(client: Any, dim: int, contract_json: str) -> Any:
    """The collection's columns; the vector contract travels in the description too."""
    from pymilvus import DataType

    def chars(limit: int) -> int:
        return min(limit * _UTF8_BYTES, _MAX_VARCHAR_BYTES)

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=contract_json)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=chars(MAX_ID_CHARS))
    schema.add_field(VECTOR_FIELD, DataType.FLOAT_VECTOR, dim=dim)
    for name in ("kind", "media", "mime"):
        schema.add_field(name, DataType.VARCHAR, max_length=chars(MAX_ID_CHARS))
    schema.add_field("source", DataType.VARCHAR, max_length=chars(MAX_SOURCE_CHARS))
    for name in ("text", "text_folded", "ocr_text", "ocr_text_folded"):
        schema.add_field(name, DataType.VARCHAR, max_length=_MAX_VARCHAR_BYTES)
    for name in ("width", "height", "ocr_read"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("created_at", DataType.DOUBLE)
    schema.add_field(
        "tags",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MAX_TAGS,
        max_length=chars(MAX_TAG_CHARS),
    )
    schema.add_field("attributes", DataType.JSON)
    return schema


def attribute_key(key: str, value: Scalar) -> str:
    """The key of a metadata value in the JSON column."""
    return f"{key}:{type_of(value)}"


def to_row(record: Record, vector: np.ndarray[Any, Any]) -> dict[str, Any]:
    payload = record.payload
    return {
        "id": record.id,
        VECTOR_FIELD: vector,
        "kind": payload.kind,
        "text": payload.text or "",
        "media": payload.media or "",
        "mime": payload.mime or "",
        "width": payload.width,
        "height": payload.height,
        "source": payload.source,
        "tags": list(payload.tags),
        "created_at": float(payload.created_at),
        "text_folded": fold_column(payload.text or ""),
        "ocr_text": payload.ocr_text or "",
        "ocr_text_folded": fold_column(payload.ocr_text or ""),
        "ocr_read": int(payload.ocr_text is not None),
        "attributes": {attribute_key(key, value): value for key, value in payload.metadata.items()},
    }


def to_payload(row: Mapping[str, Any]) -> Payload:
    attributes = row["attributes"]
    if isinstance(attributes, str | bytes):
        attributes = json.loads(attributes)
    return Payload(
        kind=row["kind"],
        text=row["text"] or None,
        media=row["media"] or None,
        mime=row["mime"] or None,
        width=int(row["width"]),
        height=int(row["height"]),
        source=row["source"],
        tags=tuple(row["tags"]),
        metadata={key.rpartition(":")[0]: value for key, value in attributes.items()},
        created_at=float(row["created_at"]),
        ocr_text=row["ocr_text"] if row["ocr_read"] else None,
    )


def to_record(row: Mapping[str, Any]) -> Record:
    return Record(row["id"], np.asarray(row[VECTOR_FIELD], dtype=np.float32), to_payload(row))


def _decode_object(text: str) -> dict[str, Any]:
    try:
        decoded = json.loads(text)
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
