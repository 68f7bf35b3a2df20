"""A network of this process and one server: a network namespace, and a pair of link-local addresses into it.

For servers that bind every interface and cannot be told otherwise. The namespace has no other link and no route, so
only this machine reaches what listens there. Needs Linux and root.
"""

from __future__ import annotations

from loadtests.network_namespace import NetworkNamespace, ip, link_to

SUBNETS = 64 * 160
"""Networks of four addresses, 169.254.1.0 to 169.254.160.255: none holds 169.254.169.254, which clouds use."""


class PrivateNetwork(NetworkNamespace):
    """`address` is where a server that was started by `popen` is reached from here."""

    def __init__(self) -> None:
        """Raises RuntimeError where the machine does not have what it needs."""
        super().__init__()
        outside, inside, number = link_to(self)
        # The kernel's number of an interface is its own while it lives, and so is the subnet made of it.
        number %= SUBNETS
        subnet = f"169.254.{1 + number // 64}"
        self.address = f"{subnet}.{number % 64 * 4 + 2}"
        ip("address", "add", f"{subnet}.{number % 64 * 4 + 1}/30", "dev", outside)
        ip("link", "set", outside, "up")
        self.run("ip", "address", "add", f"{self.address}/30", "dev", inside)
        self.run("ip", "link", "set", inside, "up")
