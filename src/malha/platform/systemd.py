"""What systemd hands to a service and hears from it: listening sockets (sd_listen_fds) and readiness (sd_notify).

Any supervisor that speaks the same protocol will do. Without one, nothing happens.
"""

import os
import socket
from collections.abc import Mapping

FIRST_DESCRIPTOR = 3


def inherited_sockets(environ: Mapping[str, str] | None = None) -> list[socket.socket]:
    """Return the listening sockets this process was started with, usually none.

    The one who passes them keeps them open over our restarts: connections that come meanwhile wait in their queues.
    """
    given = os.environ if environ is None else environ
    if given.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(given.get("LISTEN_FDS") or 0)
    found = [socket.socket(fileno=number) for number in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count)]
    for listening in found:
        listening.set_inheritable(False)
    return found


def notify(state: str) -> None:
    """Tell whoever started us a state, like `READY=1`; silently nothing when nobody asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(state.encode())
