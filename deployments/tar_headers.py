"""Headers of tar archives that are read without trusting them: tarfile reads some of them whole into memory."""

from __future__ import annotations

import tarfile
from typing import IO, cast

MAX_HEADER_BYTES = 64 << 10
"""A long name or an extended header."""
_READ_WHOLE = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class BoundedHeader(tarfile.TarInfo):
    """Raises tarfile.ReadError for a header that says that its content, which tarfile reads at once, is large, and for
    one of a negative size, which would lead back to what was read. Keeps no maps of sparse files, which may be long and
    make much out of nothing: whoever reads members refuses those that `issparse`."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0:
            raise tarfile.ReadError("a member has a negative size")
        if self.type in _READ_WHOLE and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header of its is too large")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]

    def _proc_sparse(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """GNU's old form: the map goes on in blocks behind the header, whose last used byte tells of another."""
        stream = cast("IO[bytes]", archive.fileobj)
        _, goes_on, _ = self._sparse_structs  # type: ignore[attr-defined]
        while goes_on:
            goes_on = stream.read(tarfile.BLOCKSIZE)[504]
        self.sparse = b""
        self.offset_data = stream.tell()
        archive.offset = self.offset_data + self._block(self.size)  # type: ignore[attr-defined]
        return self

    def _proc_gnusparse_10(self, member: BoundedHeader, _headers: object, _archive: object) -> None:
        """PAX's form, whose map is the beginning of the content."""
        member.sparse = b""
