"""Encoders: one embedding space for text and images. Knows nothing of Ray or HTTP, and imports no model library."""

from encoders.base import (
    Calibration,
    Encoded,
    Encoder,
    EncoderInfo,
    EncoderInput,
    Modality,
    Prepared,
    Preparer,
    Role,
    Vectors,
    encode,
    normalise,
    truncate,
)
from encoders.contract import VectorContract
from encoders.errors import ContractMismatch, EncoderError, InputError, MissingExtra, ModelUnavailable

__all__ = [
    "Calibration",
    "ContractMismatch",
    "Encoded",
    "Encoder",
    "EncoderError",
    "EncoderInfo",
    "EncoderInput",
    "InputError",
    "MissingExtra",
    "Modality",
    "ModelUnavailable",
    "Prepared",
    "Preparer",
    "Role",
    "VectorContract",
    "Vectors",
    "encode",
    "normalise",
    "truncate",
]
