"""A network of several nodes on one machine: a namespace each, and a switch between them that this machine is on too.

The switch is in a namespace of its own, so that nothing is left when the last process of all of them has ended. There
is no route out of it, and no other machine is on it. Needs Linux and root.
"""

from __future__ import annotations

from types import TracebackType

from loadtests.network_namespace import NetworkNamespace, ip, link_to

SUBNETS = 16 * 60
"""Networks of 16 addresses, 169.254.192.0 to 169.254.251.255: none that `private_network` or a cloud uses."""
SWITCH = "switch"


class LanNode(NetworkNamespace):
    """`address` is where the node is reached by the others and from here."""

    def __init__(self, address: str, switch: NetworkNamespace) -> None:
        super().__init__()
        self.address = address
        outside, inside, _ = link_to(self)
        ip("link", "set", outside, "netns", str(switch.pid))
        switch.run("ip", "link", "set", outside, "master", SWITCH, "up")
        self.run("ip", "address", "add", f"{address}/28", "dev", inside)
        self.run("ip", "link", "set", inside, "up")


class Lan:
    """`address` is this machine's own."""

    def __init__(self) -> None:
        """Raises RuntimeError where the machine does not have what it needs."""
        self._switch = NetworkNamespace()
        self._nodes: list[LanNode] = []
        outside, inside, number = link_to(self._switch)
        # The kernel's number of an interface is its own while it lives, and so is the subnet made of it.
        third, fourth = divmod(number % SUBNETS, 16)
        self._prefix, self._first = f"169.254.{192 + third}", fourth * 16 + 1
        self.address = f"{self._prefix}.{self._first}"
        self._switch.run("ip", "link", "add", SWITCH, "type", "bridge")
        self._switch.run("ip", "link", "set", SWITCH, "up")
        self._switch.run("ip", "link", "set", inside, "master", SWITCH, "up")
        ip("address", "add", f"{self.address}/28", "dev", outside)
        ip("link", "set", outside, "up")

    def __enter__(self) -> Lan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def node(self) -> LanNode:
        """A further one, of at most 13."""
        node = LanNode(f"{self._prefix}.{self._first + 1 + len(self._nodes)}", self._switch)
        self._nodes.append(node)
        return node

    def close(self) -> None:
        """Lets go of all of it. Calling it twice is fine."""
        for one in (*self._nodes, self._switch):
            one.close()
