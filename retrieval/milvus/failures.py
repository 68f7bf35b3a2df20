"""What went wrong in a call to Milvus: the server is away, or it refused the call; and the error that says so.

Only what is away is worth trying again, and only that counts against the server: one caller's faulty query must not
keep the others out.
"""

from __future__ import annotations

import re
from typing import Any

from retrieval.errors import IndexFault, IndexUnavailable, RetrievalError

_REFUSALS = frozenset({100, 1100, 1101, 1102, 1103, 1104, 1400, 1401, 1600, 1601, 1602, 1700, 1701, 1702, 1703, 1800})
"""Status codes of a server that is well (pkg/util/merr in Milvus): collections, parameters, privileges, aliases and
fields that are not what the call takes them for."""
_NO_CODE = 65535
"""What has no code of its own, such as a faulty expression."""
_AWAY_WORDS = (
    "not ready", "unavailable", "not available", "not serviceable", "offline", "not loaded", "shutting down",
    "initializing", "no available", "timeout", "deadline", "rate limit", "context canceled", "lacks", "node not",
    "connection", "server id", "shard",
)  # fmt: skip
"""In the text of a 65535 whose server is not well, which older servers answer while they start and stop."""
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*(?:"|\\?\Z)', re.DOTALL)
"""The server repeats the caller's expression, cut short at times, and any word may stand in its texts (`expression.py`
quotes them so)."""
_REFUSED_BY_RPC = ("UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "UNIMPLEMENTED")


def is_refusal(error: BaseException) -> bool:
    """Whether the server is well and would refuse the same call again."""
    from pymilvus.exceptions import ParamError

    if (rpc := _rpc_error(error)) is not None:
        return rpc.code().name in _REFUSED_BY_RPC
    if isinstance(error, ParamError):
        return True
    code = getattr(error, "code", None)
    if code == _NO_CODE:
        text = _QUOTED.sub("", _text(error)).lower()
        return not any(word in text for word in _AWAY_WORDS)
    return code in _REFUSALS


def named(error: BaseException, where: str) -> RetrievalError:
    """The error of ours that stands for one of pymilvus's or gRPC's, one line long."""
    message = f"Milvus at {where}: {' '.join(_text(error).split())[:300]}"
    return IndexFault(message) if is_refusal(error) else IndexUnavailable(message)


def _text(error: BaseException) -> str:
    rpc = _rpc_error(error)
    if rpc is not None:
        return f"{rpc.code().name.lower().replace('_', ' ')}: {rpc.details()}"
    return str(getattr(error, "message", "") or error)


def _rpc_error(error: BaseException) -> Any:
    """What gRPC said, were it only the cause of what pymilvus says (which keeps silent of it); or None."""
    from grpc import RpcError

    for candidate in (error, error.__cause__):
        if isinstance(candidate, RpcError) and hasattr(candidate, "code"):
            return candidate
    return None
