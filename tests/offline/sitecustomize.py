"""Cuts the network for a Python process that has this folder on PYTHONPATH.

Every attempt to reach another machine fails, and is noted in the file OFFLINE_LOG names: code that
falls back quietly when the network is gone is found out as well.
"""

import ipaddress
import os
import sys

_EVENTS = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0}


def _refuse(event: str, arguments: tuple) -> None:
    if event not in _EVENTS:
        return
    address = arguments[_EVENTS[event]]
    host = address[0] if isinstance(address, tuple) else address
    if event != "socket.getaddrinfo" and not isinstance(address, tuple):
        return  # a Unix socket
    if _is_this_machine(host):
        return
    with open(os.environ["OFFLINE_LOG"], "a", encoding="utf-8") as log:
        log.write(f"{event} {host}\n")
    raise OSError(f"The network is cut: {event} {host}")


def _is_this_machine(host: object) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


sys.addaudithook(_refuse)
