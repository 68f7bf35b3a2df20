"""Result files: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.files import open_result, write_text


def test_a_file_appears_whole_in_a_new_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.html", "文")
    assert (tmp_path / "new" / "a.html").read_text(encoding="utf-8") == "文"
    assert (tmp_path / "new" / "a.html").stat().st_mode & 0o777 == 0o644


def test_what_breaks_off_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    write_text(path, "old")

    def break_off() -> None:
        with open_result(path) as file:
            file.write(b"half")
            raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        break_off()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]
