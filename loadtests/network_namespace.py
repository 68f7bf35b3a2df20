"""A network namespace without a name: it ends with its last process, and its links with it, however they end.

Needs Linux and root.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "ip": "iproute2"}


def missing_for_networks() -> str | None:
    """What keeps this machine from having one, as a sentence with what to do; None where nothing does."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    absent = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if absent:
        return f"not all of {', '.join(TOOLS)} are installed: apt-get install {' '.join(absent)}"
    if os.geteuid() != 0:
        return "a network namespace needs root"
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return f"no network namespace can be made here: {probe.stderr.strip()}" if probe.returncode else None


class NetworkNamespace:
    """Has no link but its own loopback until it is given one."""

    def __init__(self) -> None:
        """Raises RuntimeError where the machine does not have what it needs."""
        if reason := missing_for_networks():
            raise RuntimeError(reason)
        # Holds the namespace open between servers, until its input ends: at the latest when this process does.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"up\n":
            self.close()
            raise RuntimeError("the network namespace did not come up")

    @property
    def pid(self) -> int:
        """Of a process inside, by which `ip` finds it."""
        return self._holder.pid

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Starts a process inside. It is killed when the calling thread ends: none outlives its test."""
        return subprocess.Popen([*self.entering, "setpriv", "--pdeathsig", "KILL", *command], **options)

    def run(self, *command: str) -> None:
        """Runs a command inside to its end."""
        subprocess.run([*self.entering, *command], check=True)

    def close(self) -> None:
        """Lets go of the namespace, which ends with its last process. Calling it twice is fine."""
        self._holder.communicate()

    @property
    def entering(self) -> list[str]:
        """What a command is put behind to be run inside."""
        return ["nsenter", "--target", str(self._holder.pid), "--net", "--"]


def link_to(namespace: NetworkNamespace) -> tuple[str, str, int]:
    """A new pair of interfaces: the name of the one here, of the one inside, and the kernel's number of the first."""
    outside, inside = (f"cray{secrets.token_hex(3)}{end}" for end in "oi")
    ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", str(namespace.pid))
    (link,) = json.loads(ip("-json", "link", "show", "dev", outside))
    return outside, inside, link["ifindex"]


def ip(*arguments: str) -> str:
    """What the command `ip` prints."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
