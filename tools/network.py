"""This machine's address in its network, for what is served to a class."""

import ipaddress
import socket

import psutil


def address_in_the_network() -> str | None:
    """The IPv4 address that others in the same network reach, or None if there is none. Nothing is sent.

    That of the route to the world; without such a route, as with a hotspot of one's own, that of an interface that is up.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address for documentation: the system only says from which address it would be.
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0]
        except OSError:
            pass
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, addresses in sorted(psutil.net_if_addrs().items()):
        for each in addresses:
            if name not in up or each.family != socket.AF_INET:
                continue
            if not ipaddress.ip_address(each.address).is_loopback:
                return each.address
    return None
