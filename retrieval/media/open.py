"""Opening a media store by where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.media.base import MediaStore
from retrieval.media.folder import FolderMedia
from retrieval.media.url import UrlMedia


@dataclass(frozen=True, slots=True)
class MediaOptions:
    """Where the media files are: in a folder, or behind a URL."""

    path: Path
    url: str | None = None
    """Of fsspec, such as s3://bucket/prefix; `path` is not used then."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of the URL's file system. Secrets are among them."""
    deadline_s: float = 10.0
    """For one call to the URL's service."""


def open_media(options: MediaOptions) -> MediaStore:
    """The store. Raises MissingExtra where the URL's file system is not installed."""
    if options.url is None:
        return FolderMedia(options.path)
    return UrlMedia(options.url, options.options, options.deadline_s)
