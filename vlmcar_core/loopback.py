"""Who may talk to a server of ours: this machine, by its own name, and no page of another site.

Both servers ask here: the app (`vlmcar_studio/guard.py`) and the replay server (`replay_server.py`).

Three things are looked at, because each stops what the others let through:

- the **peer's address**: whatever a server was bound to, it answers to nobody on the network;
- the **Host** header: a stranger's name that was made to lead to 127.0.0.1 (DNS rebinding) is still a stranger's name,
  and its pages would else be same-origin with ours. Its port is not compared: a tunnel (`ssh -L 9000:127.0.0.1:8501`)
  has another one, and the origin has to have the same;
- **Origin** and **Sec-Fetch-Site**: which page asks. Browsers send an Origin with every WebSocket handshake and with
  every request that changes something, and Sec-Fetch-Site with everything that goes to this machine. Another port of
  this machine is another site. A request with neither comes from a program, not from a page; a program could write
  whatever it likes into them, so it is answered.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlmcar_core.errors import BadInput

ADDRESSES = ("127.0.0.1", "localhost", "::1")
HOST_PATTERN = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
FOREIGN_HOST = "this server answers to 127.0.0.1, localhost and [::1] only"
FOREIGN_SITE = "a request from another site was refused"
FOREIGN_PEER = "this server answers to its own machine only"

Headers = Callable[[str], Sequence[str]]
"""Every value of a header, by its name in lower case."""


@dataclass(frozen=True)
class Refusal:
    """A request that is not answered: the HTTP status that it gets, and why."""

    status: int
    reason: str


def check_address(address: str | None, port: int | str = 8501) -> str:
    """An address that a server may be bound to.

    Raises:
        BadInput: it is not this machine's own.
    """
    if address not in ADDRESSES:
        shown = repr(address) if address else "every address of this machine"
        raise BadInput(
            f"a server of VLM-CaR Studio listens on 127.0.0.1 only, not on {shown}; to reach it from another machine, "
            f"forward a port: ssh -L {port}:127.0.0.1:{port} that-machine"
        )
    return address


def refusal(headers: Headers, peer: str, method: str, scheme: str = "http") -> Refusal | None:
    """Why a request, or a WebSocket handshake, is not answered; None where it is.

    Args:
        peer: the address that it comes from.
        method: of the request; "CONNECT" for a WebSocket, which is never a mere visit.
        scheme: the one that the server itself speaks, "http" or "https".
    """
    if not _is_loopback(peer):
        return Refusal(403, FOREIGN_PEER)
    hosts = headers("host")
    if len(hosts) != 1 or not HOST_PATTERN.fullmatch(hosts[0]):
        return Refusal(400, FOREIGN_HOST)
    if any(origin.lower() != f"{scheme}://{hosts[0].lower()}" for origin in headers("origin")):
        return Refusal(403, FOREIGN_SITE)
    if set(headers("sec-fetch-site")) - {"same-origin", "none"} and not _visit(headers, method):
        return Refusal(403, FOREIGN_SITE)
    return None


def _visit(headers: Headers, method: str) -> bool:
    """Somebody follows a link to a page of ours: it is shown, in a tab of its own, and nothing is told to the other."""
    wanted = (list(headers("sec-fetch-mode")), list(headers("sec-fetch-dest")))
    return method in ("GET", "HEAD") and wanted == (["navigate"], ["document"])


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
