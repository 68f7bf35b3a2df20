"""Every setting, in one frozen tree: a profile's YAML, over it the environment, over that the command line.

`CROSSRAY_HTTP__PORT=9000` sets `http.port`; two underscores go one level down. Only this module reads configuration
files and what is Crossray's in the environment; HF_ENDPOINT and HF_TOKEN are the command line's, PHOTOS the demo's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from cluster.audit_settings import AuditSettings
from cluster.auth_settings import AuthSettings
from cluster.canary_settings import CanarySettings
from cluster.database_settings import DatabaseSettings
from cluster.errors import SettingsError
from cluster.http_settings import LOOPBACK_NAMES, HttpSettings, ImageSettings
from cluster.jobs_settings import JobsSettings
from cluster.log_settings import LogSettings
from cluster.media_settings import MediaSettings
from cluster.model_settings import (
    EXPORTING_ENCODERS,
    PULLED_MODELS,
    EncoderSettings,
    ModelSettings,
    QuerySettings,
    RerankSettings,
    drop_options_of_others,
    require_checkpoint,
)
from cluster.ocr_settings import OcrSettings
from cluster.page_settings import PageSettings
from cluster.ray_settings import RaySettings
from cluster.section import ScaleSettings
from cluster.trace_settings import TraceSettings
from cluster.vector_settings import CacheSettings, IndexSettings

if TYPE_CHECKING:
    from encoders.images import ImageLimits

PROFILES = Path(__file__).parent / "profiles"
CALIBRATIONS = "calibration"
"""Below the data folder."""


def _default_dir(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / fallback) / "crossray"


class Settings(BaseSettings):
    """The root of the tree."""

    model_config = SettingsConfigDict(env_prefix="CROSSRAY_", env_nested_delimiter="__", frozen=True, extra="forbid")

    profile: str = Field("local", description="The profile these settings came from.")
    data_dir: Path = Field(
        default_factory=lambda: _default_dir("XDG_DATA_HOME", ".local/share"), description="Vectors, media, run files."
    )
    cache_dir: Path = Field(
        default_factory=lambda: _default_dir("XDG_CACHE_HOME", ".cache"),
        description="Exported models, cached vectors; may be deleted.",
    )
    url: str | None = Field(None, description="A running Crossray to talk to, instead of the one in the data folder.")
    api_key: SecretStr | None = Field(None, description="The API key that commands send to it.")
    http: HttpSettings = HttpSettings()
    auth: AuthSettings = AuthSettings()
    audit: AuditSettings = AuditSettings()
    images: ImageSettings = ImageSettings()
    encoder: EncoderSettings = Field(EncoderSettings(), description="Items are stored and searched with it.")
    other_encoders: tuple[EncoderSettings, ...] = Field(
        (), description="Encoders beside it, a deployment each: `/v1/embeddings` takes them by `model`."
    )
    rerank: RerankSettings = RerankSettings()
    index: IndexSettings = IndexSettings()
    media: MediaSettings = MediaSettings()
    cache: CacheSettings = CacheSettings()
    ocr: OcrSettings = OcrSettings()
    queries: QuerySettings = QuerySettings()
    page: PageSettings = PageSettings()
    database: DatabaseSettings = DatabaseSettings()
    canary: CanarySettings = CanarySettings()
    jobs: JobsSettings = JobsSettings()
    logs: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
    ray: RaySettings = RaySettings()

    @model_validator(mode="after")
    def _one_direct_ingress(self) -> Settings:
        if self.ray.ingress == "direct" and self.http.scale.max_replicas > 1:
            raise ValueError(
                "http.scale.max_replicas: a direct ingress is one replica; set ray.ingress to proxy or haproxy for more"
            )
        return self

    @model_validator(mode="after")
    def _known_to_be_open(self) -> Settings:
        if self.ray.ingress == "haproxy" and self.http.host in LOOPBACK_NAMES:
            raise ValueError(
                "ray.ingress: HAProxy's own pages listen on every interface, whatever http.host says: start it in a "
                "pod or a network namespace, with http.host 0.0.0.0"
            )
        return self

    @model_validator(mode="after")
    def _open_on_loopback_only(self) -> Settings:
        if self.auth.required is False and self.http.host not in LOOPBACK_NAMES:
            raise ValueError("auth.required: false is for loopback, and others can reach http.host " + self.http.host)
        return self

    @model_validator(mode="after")
    def _requests_end_within_grace(self) -> Settings:
        if self.media.grace_s <= self.http.request_timeout_s:
            raise ValueError("media.grace_s: must be longer than http.request_timeout_s, or files of requests go")
        return self

    @model_validator(mode="after")
    def _one_audit_file(self) -> Settings:
        if self.audit.path is not None and self.ray.ingress != "direct":
            raise ValueError(
                "audit.path: of one ingress; with ray.ingress proxy or haproxy there are several, and each logs"
            )
        return self

    @property
    def audit_path(self) -> Path | None:
        """`audit.path`, or what stands for null there; None is the process's log."""
        if self.audit.path is None and self.ray.ingress == "direct":
            return self.data_dir / "audit.jsonl"
        return self.audit.path

    @property
    def requires_keys(self) -> bool | None:
        """`auth.required`, or what stands for null there; None is from the first key on."""
        if self.auth.required is not None:
            return self.auth.required
        return None if self.http.host in LOOPBACK_NAMES else True

    @property
    def maintenance_scale(self) -> ScaleSettings:
        """Of the one replica that builds versions of collections and keeps the canary; it is idle as a rule."""
        return ScaleSettings(num_cpus=0.1)

    @property
    def served_models(self) -> dict[str, ModelSettings]:
        """The branches of the models that a cluster under these settings runs, by their path."""
        served: dict[str, ModelSettings] = {"encoder": self.encoder}
        served |= {f"other_encoders.{at}": other for at, other in enumerate(self.other_encoders)}
        if self.rerank.enabled:
            served["rerank"] = self.rerank
        if self.queries.runs_structurer:
            served["queries.structurer"] = self.queries.structurer
        return served

    def require_checkpoints(self) -> None:
        """Raises SettingsError, naming the field, where a model that is served is not told its checkpoint."""
        for path, model in self.served_models.items():
            require_checkpoint(model.name, model.options, f"{path}.options.model")

    def options_of(self, encoder: str, section: EncoderSettings | None = None) -> dict[str, Any]:
        """What to load an encoder with: the options of the section that names it, over its folders and image limits."""
        own: dict[str, Any] = {"limits": self.image_limits}
        own |= {"cache_dir": self.cache_dir} if encoder in EXPORTING_ENCODERS else {}
        return own | self._options_beside(section or self.encoder, encoder)

    def options_of_reranker(self, reranker: str) -> dict[str, Any]:
        """What to load a reranker with: as `options_of`."""
        return {"limits": self.image_limits} | self._options_beside(self.rerank, reranker)

    def options_of_structurer(self, structurer: str) -> dict[str, Any]:
        """What to load a query structurer with: as `options_of`, and no limits, as it sees no images."""
        return self._options_beside(self.queries.structurer, structurer)

    def _options_beside(self, section: ModelSettings, model: str) -> dict[str, Any]:
        own: dict[str, Any] = {"models_dir": self.models_dir} if model in PULLED_MODELS else {}
        return own | (section.options if model == section.name else {})

    @property
    def image_limits(self) -> ImageLimits:
        from encoders.images import ImageLimits  # not at the top: the tree must load without Pillow

        return ImageLimits(max_bytes=self.images.max_bytes, max_pixels=self.images.max_pixels)

    @property
    def models_dir(self) -> Path:
        """Where `crossray model pull` puts checkpoints and serving finds them."""
        return self.cache_dir / "models"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the profile, which arrives as init values."""
        return env_settings, init_settings


def profile_names() -> list[str]:
    """The profiles that come with Crossray."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def load_settings(profile: str | None = None, **overrides: Any) -> Settings:
    """Settings of a profile (a name, or a YAML file's path), under the environment; `overrides` win over both.

    Raises SettingsError.
    """
    name = profile or os.environ.get("CROSSRAY_PROFILE") or "local"
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no profile {name!r}; there are {', '.join(profile_names())}, or give a YAML file"
        ) from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path.name} is not a mapping of sections such as http and encoder")
    try:
        drop_options_of_others(values, EnvSettingsSource(Settings)())
        # Set last: CROSSRAY_PROFILE is a variable too, and need not be the profile that was asked for.
        return Settings(**values).model_copy(update={"profile": path.stem} | overrides)
    except UnreadableVariable as error:
        raise SettingsError(f"profile {name!r} with the environment: {error}, which must be JSON") from error
    except ValidationError as error:
        faults = "; ".join(_fault(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors())
        raise SettingsError(f"profile {name!r} with the environment: {faults}") from error


def _fault(field: str, message: str) -> str:
    reason = message.removeprefix("Value error, ")
    return f"{field}: {reason}" if field else reason
