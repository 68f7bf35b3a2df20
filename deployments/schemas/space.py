"""Which embedding space a request counts on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deployments.schemas.fields import Body


class ContractBody(Body):
    """A whole vector contract, as `GET /v1/models` shows it."""

    model: str
    revision: str
    dim: Annotated[int, Field(strict=True)]
    pooling: str
    template: str
    pixels: str
    preprocessing: Annotated[int, Field(strict=True)]
    precision: str


class SpaceClaim(Body):
    """Which embedding space a request counts on."""

    fingerprint: str | None = Field(None, description="Refuse with 409 unless the collection's fingerprint is this.")
    contract: ContractBody | None = Field(
        None, description="Like `fingerprint`, with the whole contract: the 409 then names the fields that differ."
    )
