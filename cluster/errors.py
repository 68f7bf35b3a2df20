"""What can go wrong in a command.

ClusterError             shown as one line that says what to do next; exit code 1
├── ServerUnreachable    nothing answers at the address
├── ApiError             the server answered with an error
├── BadDataset           a folder for `crossray eval` is not what it should be
├── BadExport            a Parquet file that cannot be imported here
├── NoKeys               calls need an API key, and there is none
├── BadBackup            a folder that is no whole backup, or not what it was
└── SettingsError        a profile, a variable or an option that makes no valid settings
"""

from __future__ import annotations


class ClusterError(Exception):
    """Base of everything this package raises on purpose. Its text is one line for a person."""


class ServerUnreachable(ClusterError):
    """Nothing answers at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        return f"no Crossray answers at {self.url} ({self.reason}): start one with  crossray up --detach"


class ApiError(ClusterError):
    """The server's own error answer: `code` is stable for machines, `param` names the field at fault."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(status, code, message, param)
        self.status = status
        self.code = code
        self.message = message
        self.param = param

    def __str__(self) -> str:
        field = f" (field {self.param})" if self.param else ""
        hint = ": commands read it from CROSSRAY_API_KEY" if self.status == 401 else ""
        return f"{self.message}{field} [{self.status} {self.code}]{hint}"


class BadDataset(ClusterError):
    """A folder or a captions.jsonl that cannot be evaluated; the text names the file and the line."""


class BadExport(ClusterError):
    """A Parquet file that is not an export, or whose vectors do not belong into this server's space."""


class BadBackup(ClusterError):
    """A folder that cannot be backed up into or restored from; the text names the file."""


class SettingsError(ClusterError):
    """A profile or a variable that does not make valid settings; the message says which and how."""
