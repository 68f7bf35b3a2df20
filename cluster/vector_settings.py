"""The branches of the settings tree where vectors are kept: the index, and the cache of what was encoded before."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from cluster.section import ScaleSettings, Section


class IndexSettings(Section):
    """The index. `embedded` keeps everything under the data folder; `milvus` is a Lite file or a server."""

    backend: Literal["memory", "embedded", "milvus"] = Field("embedded", description="Where vectors live.")
    uri: str | None = Field(None, description="Of a Milvus server; without one, a Milvus Lite file is used.")
    token: SecretStr = Field(SecretStr(""), description="`user:password` or a key of a Milvus server.")
    deadline_s: float = Field(10, gt=0, description="Deadline of one call to Milvus.")
    flat_limit: int = Field(20_000, ge=1, description="Rows up to which embedded search is exact, above it IVF-SQ8.")
    exact_limit: int = Field(50_000, ge=1, description="Rows passing a filter up to which they are compared exactly.")
    scale: ScaleSettings = ScaleSettings(num_cpus=0.3)

    @model_validator(mode="after")
    def _one_owner(self) -> IndexSettings:
        if self.scale.max_replicas > 1 and (self.backend != "milvus" or self.uri is None):
            name = "Milvus Lite file" if self.backend == "milvus" else f"{self.backend} index"
            raise ValueError(f"the {name} has one owner: set index.scale.max_replicas to 1, or use a Milvus server")
        return self


class CacheSettings(Section):
    """Where vectors of inputs seen before are kept. It is a cache: losing it costs time, never an answer."""

    backend: Literal["sqlite", "redis", "none"] = Field(
        "sqlite", description="`sqlite`: a file under cache_dir. `redis`: shared among nodes. `none`: encode each time."
    )
    url: SecretStr | None = Field(None, description="Of Redis: redis://:password@host:6379/0.")
    max_bytes: int = Field(256 << 20, ge=1 << 20, description="Bound of the SQLite file; Redis bounds itself.")

    @model_validator(mode="after")
    def _redis_has_a_url(self) -> CacheSettings:
        if self.backend == "redis" and self.url is None:
            raise ValueError("redis needs a URL: set CROSSRAY_CACHE__URL")
        return self
