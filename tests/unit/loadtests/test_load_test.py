"""Around locust: the command line in front of it, what becomes of the key, and figures over time.

Nothing here imports locust, which patches the standard library of the process that does.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from loadtests.load import BOUNDARY, multipart_body
from loadtests.load_options import told_command
from loadtests.load_test import environment, locust_command, parser
from loadtests.made_up_photos import made_up_photos
from loadtests.recorder import endpoint_of
from loadtests.timeline import Counts, Timeline

ROOT = Path(__file__).parents[3]
IMPORT = re.compile(r"^\s*(?:import|from) (?:locust|gevent)\b", re.MULTILINE)


def test_only_locusts_own_modules_import_it() -> None:
    folders = ("loadtests", "tests", "cluster", "deployments", "encoders", "retrieval", "page", "clients")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    importing = {path.relative_to(ROOT).as_posix() for path in files if IMPORT.search(path.read_text(encoding="utf-8"))}
    assert importing == {"loadtests/locust_users.py", "loadtests/locustfile.py"}


def test_what_is_typed_becomes_locusts_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSSRAY_API_KEY", raising=False)
    command = locust_command(
        ["--shape", "steps", "-u", "50", "--processes", "2", "--slo-error-ratio", "0.5", "Uploader"]
    )
    told = " ".join(command)
    assert "--users 50" in told
    assert "--shape steps" in told
    assert "--slo-error-ratio 0.5" in told
    assert "--run-time" not in command, "the shape's own time"
    assert "--headless" in command
    assert command[-3:] == ["--processes", "2", "Uploader"]
    assert "--run-time 60s" in " ".join(locust_command([]))


@pytest.mark.parametrize(
    "typed", [["-u", "0"], ["--pace", "-1"], ["--pace", "nan"], ["--keep", "-1"], ["--keep", "x"], ["--shape", "wave"]]
)
def test_what_makes_no_sense_is_told_before_locust_starts(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        locust_command(typed)
    assert refused.value.code == 2
    assert re.search(r"less than|invalid (?:int|choice)", capsys.readouterr().err)


def test_a_base_url_may_end_with_a_slash() -> None:
    assert "https://photos.example" in locust_command(["--host", "https://photos.example/"])


def test_a_worker_is_told_by_its_master_alone() -> None:
    assert locust_command(["--worker", "--master-host", "load-0"])[5:] == ["--worker", "--master-host", "load-0"]


def test_a_master_listens_wider_only_when_it_is_asked_for() -> None:
    assert "--master-bind-host 127.0.0.1" in " ".join(locust_command(["--processes", "4"]))
    assert "--master-bind-host" not in locust_command(["--master"])


def test_the_key_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRAY_API_KEY", "from-the-environment")
    assert environment([])["CROSSRAY_API_KEY"] == "from-the-environment"
    for typed in (["--api-key", "s3cret"], ["--api-key=s3cret"]):
        assert environment(typed)["CROSSRAY_API_KEY"] == "s3cret"
        assert "s3cret" not in " ".join(locust_command(typed))
        assert "s3cret" not in told_command(["-u", "1", *typed, "Mixed"])
    assert "from-the-environment" not in parser().format_help()
    assert (
        told_command([f"{ROOT}/loadtests/locustfile.py", "-u", "1"]) == "python -m locust loadtests/locustfile.py -u 1"
    )


def test_an_api_that_is_not_there_is_told_before_anything_is_sent() -> None:
    command = [sys.executable, "-m", "loadtests.load_test", "--host", "http://127.0.0.1:9"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "http://127.0.0.1:9 does not answer" in ran.stderr
    assert "make up" in ran.stderr


def test_windows_hold_what_happened_in_them() -> None:
    timeline = Timeline()
    timeline.look(10, 5, {"search": Counts(times={10: 99, 500: 1})})
    timeline.look(20, 7, {"search": Counts(failed=3, shed=2, times={10: 99, 500: 1, 30: 50}), "upload": Counts(shed=4)})
    timeline.look(20, 7, {})
    first, second = timeline.windows
    assert first["requests"]["search"] == {"per_s": 10.0, "failed": 0, "shed": 0, "p50_ms": 10, "p99_ms": 10}
    assert second["requests"]["search"] == {"per_s": 5.0, "failed": 3, "shed": 2, "p50_ms": 30, "p99_ms": 30}
    assert second["requests"]["upload"] == {"per_s": 0.0, "failed": 0, "shed": 4, "p50_ms": None, "p99_ms": None}
    assert (second["until_s"], second["users"]) == (20, 7)


def test_percentiles_are_the_least_that_hold_so_many() -> None:
    times = {1: 98, 7: 1, 900: 1}
    assert endpoint_of(Counts(failed=2, shed=3, times=times)).as_row() == {
        "answered": 100,
        "failed": 2,
        "shed": 3,
        "p50_ms": 1,
        "p95_ms": 1,
        "p99_ms": 7,
        "error_ratio": 0.02,
        "shed_ratio": 3 / 103,
    }
    assert endpoint_of(Counts(shed=1)).p99_ms == 0


def test_made_up_photos_are_files_of_a_photos_size() -> None:
    photos = made_up_photos(3, seed=1)
    assert photos == made_up_photos(3, seed=1)
    assert len(set(photos)) == 3
    for photo in photos:
        assert 50_000 <= len(photo) <= 100_000
        assert Image.open(io.BytesIO(photo)).size == (640, 480)


def test_an_upload_has_its_fields_and_its_file() -> None:
    body = multipart_body(b"JPEG", {"tags": "load-test"})
    parts = body.split(f"--{BOUNDARY}".encode())
    assert (parts[0], parts[-1]) == (b"", b"--\r\n")
    assert parts[1] == b'\r\nContent-Disposition: form-data; name="tags"\r\n\r\nload-test\r\n'
    assert parts[2].endswith(b"\r\nContent-Type: image/jpeg\r\n\r\nJPEG\r\n")
