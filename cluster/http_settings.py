"""Where the API listens, and what it takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cluster.section import ScaleSettings, Section

MAX_IMAGE_PIXELS = 89_478_485
"""What `encoders.images` takes at the most; written again because the tree must load without Pillow."""
LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))
Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.:\[\]-]+$")]


class HttpSettings(Section):
    """Where the API listens, and the bounds of one request."""

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8000, ge=1, le=65535, description="Port of the API.")
    allowed_hosts: tuple[str, ...] | None = Field(
        None,
        description="Names, without ports, that requests may call this server by. null: those of this machine itself "
        "where host is one of them, which keeps web pages out that point a name of theirs here; any name elsewhere.",
    )
    allowed_origins: tuple[Origin, ...] = Field(
        (),
        description="Other sites whose pages may call the API, such as https://photos.example. They need a key where "
        "others do.",
    )
    max_body_bytes: int = Field(32 << 20, ge=1024, description="Largest request body.")
    request_timeout_s: float = Field(
        60, gt=0, description="Deadline of one request; its header X-Request-Timeout-Ms may say a shorter one."
    )
    max_requests: int = Field(
        256, ge=1, description="Requests under way in one ingress replica; further ones get 429 at once."
    )
    writes_share: float = Field(
        0.75, gt=0, le=1, description="Share of max_requests from which writes get 429; searches go on to the whole."
    )
    scale: ScaleSettings = ScaleSettings(max_ongoing_requests=1024)

    @property
    def served_hosts(self) -> frozenset[str] | None:
        """`allowed_hosts`, or what stands for null there; None is any name."""
        if self.allowed_hosts is not None:
            return frozenset(self.allowed_hosts)
        return LOOPBACK_NAMES if self.host in LOOPBACK_NAMES else None


class ImageSettings(Section):
    """Which images are taken."""

    max_bytes: int = Field(20 << 20, ge=1024, description="Largest image file.")
    max_pixels: int = Field(
        64_000_000, ge=1024, le=MAX_IMAGE_PIXELS, description="Most pixels, checked before decoding."
    )
