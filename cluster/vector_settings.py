"""The branches of the settings tree where vectors are kept: the index, and the cache of what was encoded before."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from cluster.section import ScaleSettings, Section
from retrieval.open import Consistency, Device, EmbeddedOptions, IndexType, MilvusOptions


class IndexSettings(Section):
    """The index. `embedded` keeps everything under the data folder; `milvus` is a Lite file or a server."""

    backend: Literal["memory", "embedded", "milvus"] = Field("embedded", description="Where vectors live.")
    uri: str | None = Field(
        None,
        description="Of a Milvus server, `http://host:19530`, or `https://…` for TLS; a path in it names a database "
        "there. Without one, a Milvus Lite file is used.",
    )
    token: SecretStr = Field(SecretStr(""), description="`user:password` or a key of a Milvus server.")
    ca_file: Path | None = Field(
        None, description="Certificates (PEM) that may sign the Milvus server's; null: those that gRPC brings."
    )
    server_name: str = Field(
        "", description="What the Milvus server's certificate is for, where it is not the host in the URI."
    )
    deadline_s: float = Field(10, gt=0, description="Deadline of one call to Milvus, with what it is tried again.")
    consistency: Consistency = Field(
        "bounded",
        description="What a search on a Milvus server sees. `bounded`: all but the writes of the last moments (a fifth "
        "of a second as a rule, five at most). `session`: every write that its retriever replica made before. "
        "`strong`: every write; each search then waits about a fifth of a second.",
    )
    type: IndexType = Field(
        "auto",
        description="What searches: `flat` (every row), `ivf-flat`, `ivf-sq8` (a quarter of the memory), `hnsw` "
        "(fastest to search, slowest to build). `auto` is ivf-sq8 in the embedded index, above flat_limit rows; hnsw "
        "on a Milvus server; flat in a Milvus Lite file.",
    )
    device: Device = Field(
        "cpu",
        description="Of the embedded index. `gpu`: ivf-flat and ivf-sq8 on the first GPU; needs the extra `gpu` in "
        "place of faiss-cpu, and scale.num_gpus.",
    )
    target_recall: float = Field(
        0.98,
        gt=0,
        le=1,
        description="Share of the nearest that the embedded index is tuned to find, measured on probes.",
    )
    hnsw_m: int = Field(16, ge=4, le=128, description="Links of a row in a layer of the embedded index's HNSW graph.")
    hnsw_ef_construction: int = Field(
        100, ge=8, le=2000, description="Candidates kept while a row's place in that graph is found."
    )
    flat_limit: int = Field(20_000, ge=1, description="Rows up to which the embedded index compares with every row.")
    exact_limit: int = Field(50_000, ge=1, description="Rows passing a filter up to which they are compared exactly.")
    scale: ScaleSettings = ScaleSettings(num_cpus=0.3)

    @property
    def milvus_options(self) -> MilvusOptions:
        """How an index under these settings speaks to Milvus."""
        return MilvusOptions(
            token=self.token.get_secret_value(),
            ca_file=self.ca_file,
            server_name=self.server_name,
            deadline_s=self.deadline_s,
            type=self.type,
            consistency=self.consistency,
        )

    @model_validator(mode="after")
    def _types_of_gpus(self) -> IndexSettings:
        if self.device == "gpu" and (self.backend != "embedded" or self.type not in ("auto", "ivf-flat", "ivf-sq8")):
            raise ValueError("device: gpu goes with the embedded backend and the types auto, ivf-flat and ivf-sq8")
        return self

    @model_validator(mode="after")
    def _one_owner(self) -> IndexSettings:
        if self.scale.max_replicas > 1 and (self.backend != "milvus" or self.uri is None):
            name = "Milvus Lite file" if self.backend == "milvus" else f"{self.backend} index"
            raise ValueError(f"the {name} has one owner: set index.scale.max_replicas to 1, or use a Milvus server")
        return self

    @property
    def embedded_options(self) -> EmbeddedOptions:
        return EmbeddedOptions(
            type=self.type,
            device=self.device,
            flat_limit=self.flat_limit,
            exact_limit=self.exact_limit,
            target_recall=self.target_recall,
            hnsw_m=self.hnsw_m,
            hnsw_ef_construction=self.hnsw_ef_construction,
        )


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
