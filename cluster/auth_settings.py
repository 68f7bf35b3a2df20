"""The branch of the settings tree for API keys."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from cluster.section import Section


class AuthSettings(Section):
    """Who may call the API. Keys are made by `crossray keys create`, and kept in the database as digests."""

    required: bool | None = Field(
        None,
        description="Refuse calls without an API key. null: where http.host is not loopback, and everywhere from the "
        "first key on that is made. false is for loopback only.",
    )
    static_keys: SecretStr | None = Field(
        None,
        description="Keys beside those of the database, as `crossray keys create --for-secret` prints them: digests, "
        "between spaces or commas. They change when the cluster is started anew.",
    )
    refresh_s: float = Field(
        5, gt=0, le=3600, description="After so long every ingress replica knows of a key that was revoked."
    )
    max_stale_s: float = Field(
        300,
        ge=0,
        description="While the database does not answer, keys are taken as they were for so long; then calls with a "
        "key of the database are refused.",
    )
    rate_per_s: float | None = Field(
        None,
        gt=0,
        description="Calls a second that a key may make at each ingress replica, where it has no rate of its own; a "
        "call with many inputs counts as many. null: as many as it likes.",
    )
    burst: float = Field(60, ge=1, description="Calls that a key which has been quiet may make at once.")

    @field_validator("static_keys")
    @classmethod
    def _entries(cls, value: SecretStr | None) -> SecretStr | None:
        from deployments.keys.api_key import parse_entries  # loads nothing heavy

        if value is not None:
            parse_entries(value.get_secret_value())
        return value
