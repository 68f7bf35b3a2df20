"""Where media files go, by the settings; what doctor says of it; and what never leaves the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.doctor_media import media_fault
from cluster.errors import SettingsError
from cluster.manifests.secrets import plain_settings, secret_fields
from cluster.settings import Settings, load_settings
from retrieval import FolderMedia, MediaOptions, open_media
from retrieval.media import UrlMedia
from tests.s3_server import ACCESS, BUCKET, S3Server

URL = f"s3://{BUCKET}/crossray"


def options_of(settings: Settings) -> MediaOptions:
    return settings.media.options_in(settings.data_dir)


@pytest.fixture
def with_media(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Settings]:
    """Settings with these variables of the section `media`."""

    def load(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(f"CROSSRAY_MEDIA__{name.upper()}", value)
        return load_settings("local", data_dir=tmp_path)

    return load


def test_files_are_in_the_data_folder_by_default(with_media: Callable[..., Settings], tmp_path: Path) -> None:
    options = options_of(with_media())
    assert (options.path, options.url) == (tmp_path / "media", None)
    assert isinstance(open_media(options), FolderMedia)


def test_a_url_its_options_and_its_secrets_reach_the_store(with_media: Callable[..., Settings], s3: S3Server) -> None:
    settings = with_media(
        url=URL, options=json.dumps({"endpoint_url": s3.options["endpoint_url"]}), credentials=json.dumps(ACCESS)
    )
    store = open_media(options_of(settings))
    assert isinstance(store, UrlMedia)
    assert store.get(store.put(b"picture")) == b"picture"


def test_secrets_stay_in_the_environment(with_media: Callable[..., Settings]) -> None:
    settings = with_media(url=URL, credentials='{"secret": "hush"}')
    assert "hush" not in repr(settings) + json.dumps(plain_settings(settings)) + repr(options_of(settings))
    (field,) = (field for field in secret_fields(settings) if field.path[0] == "media")
    assert (field.variable, field.is_set) == ("CROSSRAY_MEDIA__CREDENTIALS", True)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("url", "bucket/prefix", "is not like s3://bucket/prefix"),
        ("url", "s3://", "is not like s3://bucket/prefix"),
        ("url", "s3://key:hush@bucket/prefix", "CROSSRAY_MEDIA__CREDENTIALS"),
        ("credentials", "hush", "must be a JSON object"),
        ("credentials", '["hush"]', "must be a JSON object"),
        ("deadline_s", "0", "greater than 0"),
        ("grace_s", "60", "longer than http.request_timeout_s"),
    ],
)
def test_what_cannot_be_is_refused(with_media: Callable[..., Settings], variable: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"media.{variable}.*{says}") as raised:
        with_media(**{variable: value})
    assert "hush" not in str(raised.value)


def test_doctor_writes_reads_and_deletes(with_media: Callable[..., Settings], s3: S3Server) -> None:
    options = json.dumps({"endpoint_url": s3.options["endpoint_url"]})
    settings = with_media(url=URL, options=options, credentials=json.dumps(ACCESS), deadline_s="5")
    assert media_fault(settings) is None
    store = open_media(options_of(settings))
    assert isinstance(store, UrlMedia)
    assert store._fs.find(BUCKET) == []
    assert "bucket" in str(media_fault(with_media(url="s3://nobodys-bucket/x")))
    s3.kill()
    assert URL in str(media_fault(with_media(url=URL)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # importing ray.serve
@pytest.mark.parametrize(
    ("index", "media", "swept"),
    [
        ({}, {}, True),
        ({"backend": "memory"}, {}, False),
        ({"backend": "milvus"}, {}, True),
        ({"backend": "milvus", "uri": "http://milvus:19530"}, {}, False),
        ({"backend": "milvus", "uri": "http://milvus:19530"}, {"sweep_server": True}, True),
    ],
)
def test_files_without_an_item_are_searched_where_all_items_are_known(
    index: dict[str, str], media: dict[str, bool], swept: bool
) -> None:
    from cluster.app_options import ingress_options

    options = ingress_options(Settings.model_validate({"index": index, "media": media}))
    assert (options.media_sweep is not None) == swept
