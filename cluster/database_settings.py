"""The branch of the settings tree for the database of jobs and collections."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from cluster.section import Section


class DatabaseSettings(Section):
    """Where jobs and the names of collections are kept."""

    url: SecretStr | None = Field(
        None,
        description="Of PostgreSQL, for clusters of several nodes: postgresql+psycopg://user:password@host/name. "
        "null: a SQLite file in the data folder.",
    )

    def url_in(self, data_dir: Path) -> str:
        """For `deployments.database.Database`."""
        return self.url.get_secret_value() if self.url is not None else f"sqlite:///{data_dir}/state.sqlite3"
