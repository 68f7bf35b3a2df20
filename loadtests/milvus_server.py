"""A Milvus server of our own, in a private network: started, killed, frozen, started again over the same data.

The package `milvus` brings the server's binary, 2.3.5, with an etcd and a message queue inside. It listens on nine
ports of every interface, so it runs in a network namespace (see `private_network`).

    with MilvusServer(folder) as server:
        open_index("milvus", uri=server.uri, milvus=server.options(), …)

    python -m loadtests.milvus_server FOLDER        # prints the URI, and runs until it is interrupted
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from loadtests.lan import LanNode
from loadtests.network_namespace import missing_for_networks
from loadtests.private_network import PrivateNetwork
from retrieval.open import MilvusOptions

PORT = 19530
SERVER_NAME = "milvus.test"
START_S = 120
SETTINGS = {
    "log.level": "warn",
    "log.stdout": "false",
    # After a kill not all answers until the sessions of the dead server have run out. A live one that cannot renew
    # its own for so long, as on a machine that is far too busy, ends itself.
    "common.session.ttl": 10,
}
"""Over the defaults that the package's template brings."""


def missing_for_server() -> str | None:
    """What keeps this machine from running one, as a sentence with what to do; None where nothing does."""
    if find_spec("milvus") is None:
        return "no Milvus server: pip install milvus==2.3.5 (Linux, x86-64)"
    return missing_for_networks()


class MilvusServer:
    """One server and its data. `uri` stays the same from start to start."""

    def __init__(
        self,
        folder: Path,
        binaries: Path | None = None,
        settings: Mapping[str, object] | None = None,
        *,
        is_guarded: bool = False,
        network: PrivateNetwork | LanNode | None = None,
    ) -> None:
        """`folder` takes data and logs; `binaries` is where the server is unpacked, 246 MB, or was before.

        A guarded one speaks TLS, with a certificate for SERVER_NAME that only `ca_file` vouches for, and asks for
        `token`. Without a network it makes one of its own. Raises RuntimeError where the machine does not have what
        it needs.
        """
        if reason := missing_for_server():
            raise RuntimeError(reason)
        self._folder = folder
        self._binaries = binaries or folder
        self._settings = SETTINGS | dict(settings or {})
        self._network = network or PrivateNetwork()
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"{'https' if is_guarded else 'http'}://{self._network.address}:{PORT}"
        self.ca_file: Path | None = None
        self.token = ""
        if is_guarded:
            self.ca_file, key = _certificate(folder)
            self.token = "root:Milvus"
            self._settings |= {"tls_mode": 1, "server_pem_path": str(self.ca_file), "server_key_path": str(key)}
            self._settings |= {"authorization_enabled": True}

    def options(self, **changes: Any) -> MilvusOptions:
        """What an index needs to speak to it."""
        return replace(MilvusOptions(token=self.token, ca_file=self.ca_file, server_name=SERVER_NAME), **changes)

    def __enter__(self) -> MilvusServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Returns when the server answers. Call it from a thread that lives on: the server ends with it."""
        self._write_config()
        library = self._binaries / "bin"
        environment = {
            "PATH": os.environ["PATH"],
            "LD_LIBRARY_PATH": str(library),
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": "9091",
            "MILVUS_RUN_DIR": str(self._folder / "run"),
        }
        log = self._folder / "logs" / "output.log"
        with log.open("ab") as output:
            self._process = self._network.popen(
                [str(library / "milvus"), "run", "standalone"],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_answers()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        """SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """By SIGKILL; its data stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Calling it twice is fine."""
        self.kill()
        self._network.close()

    def _write_config(self) -> None:
        from milvus import MilvusServerConfig, _initialize_data_files

        _initialize_data_files(str(self._binaries))
        config = MilvusServerConfig(data_dir=str(self._folder))
        config.resolve_storage()
        for key, value in self._settings.items():
            config.set(key, value)
        config.write_config()

    def _wait_until_it_answers(self) -> None:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException

        assert self._process is not None
        tls = {} if self.ca_file is None else {"server_pem_path": str(self.ca_file), "server_name": SERVER_NAME}
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                client = MilvusClient(self.uri, token=self.token, timeout=2, dedicated=True, **tls)
                client.list_collections(timeout=2)
                client.close()
                return
            except MilvusException:
                time.sleep(0.1)
        raise RuntimeError(f"the Milvus server did not start: see {self._folder / 'logs'}")


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that vouches for itself, and its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    subject = ["-subj", f"/CN={SERVER_NAME}", "-addext", f"subjectAltName=DNS:{SERVER_NAME}"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


if __name__ == "__main__":
    with MilvusServer(Path(sys.argv[1])) as server:
        print(server.uri, flush=True)
        signal.pause()
