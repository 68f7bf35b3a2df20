"""The branch of the settings tree for the files of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr, field_validator

from cluster.section import Section

if TYPE_CHECKING:
    from retrieval import MediaOptions


class MediaSettings(Section):
    """Where images are kept: in the data folder, or behind a URL that is this cluster's alone."""

    url: str | None = Field(
        None,
        description="Of any file system that fsspec knows: s3://bucket/prefix (crossray[s3]). null: the folder media "
        "in the data folder. No other cluster may use the same.",
    )
    options: dict[str, Any] = Field(
        {}, description="Of the URL's file system, such as endpoint_url for an S3 that is not Amazon's."
    )
    credentials: SecretStr | None = Field(
        None,
        description='Options that nobody may read, as JSON: {"key": …, "secret": …} for S3. null: what the machine '
        "itself offers, such as AWS_ACCESS_KEY_ID in the environment or a role.",
    )
    thumbnails: bool = Field(
        True,
        description="Make thumbnails when images are stored: 2 to 16 ms of a core for each, by its size. false: when "
        "they are first asked for.",
    )
    sweep_interval_s: float = Field(
        86_400, gt=0, description="Pause between two searches for files that no item names."
    )
    sweep_server: bool = Field(
        False,
        description="Search for them with a Milvus server too. Only where this cluster's catalog knows every "
        "collection there that names such files: the files of others would go.",
    )
    grace_s: float = Field(
        3600, ge=60, description="How long such a file is kept aside first: longer than any request lasts."
    )
    deadline_s: float = Field(10, gt=0, description="Deadline of one call to the URL's service.")

    @field_validator("url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        protocol, mark, rest = url.partition("://")
        if not (protocol and mark and rest.strip("/")):
            raise ValueError(f"{url!r} is not like s3://bucket/prefix")
        if "@" in rest.partition("/")[0]:
            raise ValueError("a user or a password in a URL shows in logs: put them into CROSSRAY_MEDIA__CREDENTIALS")
        return url

    @field_validator("credentials")
    @classmethod
    def _is_an_object(cls, credentials: SecretStr | None) -> SecretStr | None:
        if credentials is not None:
            _options(credentials)
        return credentials

    @property
    def is_s3(self) -> bool:
        """Whether crossray[s3] is needed."""
        return self.url is not None and self.url.startswith(("s3://", "s3a://"))

    def options_in(self, data_dir: Path) -> MediaOptions:
        """For `retrieval.open_media`."""
        from retrieval import MediaOptions  # not at the top: the tree must load fast

        hidden = {} if self.credentials is None else _options(self.credentials)
        return MediaOptions(data_dir / "media", self.url, self.options | hidden, self.deadline_s)


def _options(credentials: SecretStr) -> dict[str, Any]:
    try:
        value = json.loads(credentials.get_secret_value())
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError('must be a JSON object such as {"key": …, "secret": …}')
    return value
