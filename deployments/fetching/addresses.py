"""Which addresses are those of the public Internet.

IANA's special-purpose registries (RFC 6890), through `ipaddress`, which has them; and forms of IPv6 that wrap an IPv4
address (RFC 4291 2.5.5, RFC 6052, RFC 3056, RFC 4380), which are what they wrap, or refused.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NAT64 = ip_network("64:ff9b::/96")
REFUSED = (
    (ip_network("168.63.129.16/32"), "a cloud's own service"),
    (ip_network("192.88.99.0/24"), "a relay of 6to4"),
    (ip_network("::/96"), "an old form that wraps IPv4"),
    (ip_network("64:ff9b:1::/48"), "a local NAT64 prefix"),
    (ip_network("2001::/32"), "Teredo"),
    (ip_network("2002::/16"), "6to4"),
    (ip_network("fec0::/10"), "site-local"),
)
"""What is not public although the registries call it global, or what reaches somewhere else than it says."""


def why_not_public(text: str) -> str | None:
    """None for an address of the public Internet; else what it is. What is no address is not public."""
    try:
        address = ip_address(text)
    except ValueError:
        return "not an address"
    return _why_not(address)


def _why_not(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _why_not(address.ipv4_mapped)
        if address in NAT64:
            return _why_not(IPv4Address(int(address) & 0xFFFF_FFFF))
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "private": address.is_private,
        "reserved": address.is_reserved,
    }
    for kind, is_so in kinds.items():
        if is_so:
            return kind
    for network, kind in REFUSED:
        if address.version == network.version and address in network:
            return kind
    return None if address.is_global else "not global"
