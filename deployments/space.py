"""A request may say which embedding space it counts on; one that counts on another is refused, never answered wrong.

It may give a fingerprint, in the body or as a header, or the whole vector contract: then the refusal names the fields.
"""

from __future__ import annotations

from collections.abc import Mapping

from deployments.errors import Conflict
from deployments.schemas.space import SpaceClaim
from encoders import EncoderInfo, VectorContract

FINGERPRINT_HEADER = "X-Crossray-Fingerprint"


def require_space(info: EncoderInfo, claim: SpaceClaim) -> None:
    """Raises ContractMismatch naming fields, or Conflict, when the body counts on another contract than what runs."""
    if claim.contract is not None:
        info.contract.require(VectorContract(**claim.contract.model_dump()))
    _require(info, claim.fingerprint, "fingerprint")


def require_header(info: EncoderInfo, headers: Mapping[str, str]) -> None:
    """The same for a request's headers, which are looked at before its body is read."""
    _require(info, headers.get(FINGERPRINT_HEADER), FINGERPRINT_HEADER)


def _require(info: EncoderInfo, given: str | None, param: str) -> None:
    if given is not None and given != info.contract.fingerprint:
        raise Conflict(
            f"the fingerprint is {info.contract.fingerprint}, not {given[:64]}: "
            "GET /v1/models shows the whole contract, and a body's `contract` is compared field by field",
            param,
        )
