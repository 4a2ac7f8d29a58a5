"""Sockets of the runner's own, of every kind that needs no network; nobody may be heard there."""

import contextlib
import os
import socket
from pathlib import Path


class Listeners:
    """TCP, UDP, Unix and abstract sockets that wait without a thread; `traces` looks whether somebody came."""

    def __init__(self, folder: Path) -> None:
        self._tcp = _listening(socket.AF_INET, ("127.0.0.1", 0))
        self._udp = _bound(socket.AF_INET, ("127.0.0.1", 0))
        self._unix = _listening(socket.AF_UNIX, str(folder / "stream"))
        self._grams = _bound(socket.AF_UNIX, str(folder / "datagrams"))
        self._name = f"vlmcar-arena-{os.getpid()}"
        self._abstract = _listening(socket.AF_UNIX, f"\0{self._name}")
        self._folder = folder
        for path in folder.iterdir():
            path.chmod(0o777)

    def facts(self) -> dict[str, str | int]:
        return {
            "TCP": self._tcp.getsockname()[1],
            "UDP": self._udp.getsockname()[1],
            "STREAM": str(self._folder / "stream"),
            "DATAGRAMS": str(self._folder / "datagrams"),
            "ABSTRACT": self._name,
        }

    def traces(self) -> list[str]:
        """Who was heard since the last look."""
        streams = {"TCP": self._tcp, "a Unix socket": self._unix, "an abstract socket": self._abstract}
        grams = {"UDP": self._udp, "a Unix datagram socket": self._grams}
        heard = [name for name, listener in streams.items() if _accepted(listener)]
        return [f"{name} was reached" for name in heard + [name for name in grams if _received(grams[name])]]

    def close(self) -> None:
        for listener in (self._tcp, self._udp, self._unix, self._grams, self._abstract):
            listener.close()


def _bound(family: int, address: tuple[str, int] | str, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    found = socket.socket(family, kind)
    found.setblocking(False)
    found.bind(address)
    return found


def _listening(family: int, address: tuple[str, int] | str) -> socket.socket:
    found = _bound(family, address, socket.SOCK_STREAM)
    found.listen(16)
    return found


def _accepted(listener: socket.socket) -> bool:
    came = False
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            came = True
    return came


def _received(listener: socket.socket) -> bool:
    came = False
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.recv(1 << 16)
            came = True
    return came
