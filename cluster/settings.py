"""Every setting, in one frozen tree: a profile's YAML, over it the environment, over that the command line.

`CROSSRAY_HTTP__PORT=9000` sets `http.port`; two underscores go one level down. Only this module reads configuration
files and what is Crossray's in the environment; HF_ENDPOINT and HF_TOKEN are the command line's, PHOTOS the demo's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from cluster.errors import SettingsError
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
from cluster.section import ScaleSettings, Section
from cluster.vector_settings import CacheSettings, IndexSettings

if TYPE_CHECKING:
    from encoders.images import ImageLimits

PROFILES = Path(__file__).parent / "profiles"
MAX_IMAGE_PIXELS = 89_478_485
"""What `encoders.images` takes at the most; written again because the tree must load without Pillow."""

LOOPBACK_NAMES = frozenset(("localhost", "127.0.0.1", "::1"))


class HttpSettings(Section):
    """Where the API listens, and the bounds of one request."""

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8000, ge=1, le=65535, description="Port of the API.")
    allowed_hosts: tuple[str, ...] | None = Field(
        None,
        description="Names, without ports, that requests may call this server by. null: those of this machine itself "
        "where host is one of them, which keeps web pages out that point a name of theirs here; any name elsewhere.",
    )
    max_body_bytes: int = Field(32 << 20, ge=1024, description="Largest request body.")
    request_timeout_s: float = Field(60, gt=0, description="Deadline of one request.")
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


class RaySettings(Section):
    """The Ray underneath."""

    ingress: Literal["direct", "proxy"] = Field(
        "direct",
        description="`direct`: the one ingress replica listens itself, the cheapest way on one machine. "
        "`proxy`: Serve's proxies listen, on every node, before any number of ingress replicas.",
    )
    num_cpus: float = Field(2, gt=0, description="Logical cores of the local cluster.")
    object_store_bytes: int = Field(128 << 20, ge=80 << 20, description="Shared memory of the local cluster.")
    dashboard: bool = Field(False, description="Start Ray's dashboard.")
    control_loop_s: float = Field(
        0.5,
        gt=0,
        description="Pause between Serve's looks at its replicas. At its own 0.1 they start and stop sooner, and an "
        "idle cluster takes 0.03 cores more.",
    )


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
    http: HttpSettings = HttpSettings()
    images: ImageSettings = ImageSettings()
    encoder: EncoderSettings = Field(EncoderSettings(), description="Items are stored and searched with it.")
    other_encoders: tuple[EncoderSettings, ...] = Field(
        (), description="Encoders beside it, a deployment each: `/v1/embeddings` takes them by `model`."
    )
    rerank: RerankSettings = RerankSettings()
    index: IndexSettings = IndexSettings()
    cache: CacheSettings = CacheSettings()
    ocr: OcrSettings = OcrSettings()
    queries: QuerySettings = QuerySettings()
    page: PageSettings = PageSettings()
    ray: RaySettings = RaySettings()

    @model_validator(mode="after")
    def _one_direct_ingress(self) -> Settings:
        if self.ray.ingress == "direct" and self.http.scale.max_replicas > 1:
            raise ValueError(
                "http.scale.max_replicas: a direct ingress is one replica; set ray.ingress to proxy for more"
            )
        return self

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
