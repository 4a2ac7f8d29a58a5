"""The zygote: loads the libraries once, then forks a worker for every checker. It never runs a checker itself.

    python -I -c "… from vlmcar_core.sandbox.inside.zygote import main; main()"    its socket is descriptor 0

It has one thread, an environment without anything of ours, and one connection, to the app; when that ends, it ends,
and its workers with it. A request is one datagram: JSON, and the descriptors that the worker gets.

    {"op": "fork", …Order} + channel, frames, values    -> {"pid"} + a descriptor of the process
    {"op": "reap", "pid"}                                -> {"status"}, of a worker that has ended; null if unknown
"""

import contextlib
import gc
import importlib
import json
import os
import socket
from collections import OrderedDict

import cv2
import numpy as np

from vlmcar_core.sandbox.inside import gate, seal, worker

SKIMAGE = (
    *("color", "draw", "exposure", "feature", "filters", "measure", "morphology", "segmentation", "transform", "util"),
)
REQUEST_BYTES = 4096
LOOK_SECONDS = 1.0
REMEMBERED = 1000
RELEASED = "vlmcar_core.sandbox.inside.released"
"""A worker imports it where it is needed, and can open no file by then."""


class Zygote:
    """Forks, and remembers how workers ended."""

    def __init__(self, app: socket.socket) -> None:
        self._app = app
        self._ended: OrderedDict[int, int] = OrderedDict()

    def serve(self) -> None:
        """Until the app's end is closed."""
        self._app.settimeout(LOOK_SECONDS)
        self._app.send(json.dumps({"ready": True}).encode())
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self._app, REQUEST_BYTES, 3)
            except TimeoutError:
                self._collect()
                continue
            if not data:
                return
            request = json.loads(data)
            if request.pop("op") == "fork":
                self._fork(worker.Order(**request), files)
            else:
                self._app.send(json.dumps({"status": self._status(int(request["pid"]))}).encode())

    def _fork(self, order: worker.Order, files: list[int]) -> None:
        if order.skimage:
            load_skimage()
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                worker.run(order, zygote, *files)
            finally:
                os._exit(1)
        for file in files:
            os.close(file)
        handle = os.pidfd_open(pid)
        socket.send_fds(self._app, [json.dumps({"pid": pid}).encode()], [handle])
        os.close(handle)

    def _collect(self) -> None:
        """Workers that ended unasked leave nothing behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended[pid] = os.waitstatus_to_exitcode(status)
            if len(self._ended) > REMEMBERED:
                self._ended.popitem(last=False)

    def _status(self, pid: int) -> int | None:
        try:
            _, status = os.waitpid(pid, 0)
        except ChildProcessError:
            return self._ended.pop(pid, None)
        return os.waitstatus_to_exitcode(status)


def load_skimage() -> None:
    """Its functions are loaded at first use otherwise, and a sealed worker cannot."""
    for name in SKIMAGE:
        importlib.import_module(f"skimage.{name}")


def warm_up() -> None:
    """Make the libraries load what they load at first use; a sealed worker opens no file."""
    for name in (*sorted(gate.IMPORTS - {"skimage"}), RELEASED):
        importlib.import_module(name)
    cv2.setNumThreads(0)
    picture = np.zeros((8, 8, 3), np.uint8)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    mask = cv2.inRange(hsv, (0, 0, 0), (255, 255, 255))
    cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.connectedComponentsWithStats(mask)
    for function in (np.mean, np.std, np.median, np.argmax, np.unique, np.any, np.max):
        function(picture)
    np.percentile(picture, 50)
    np.linalg.norm(picture.astype(float).ravel())


def main() -> None:
    """Serve the app at the other end of descriptor 0."""
    app = socket.socket(fileno=os.dup(0))
    seal.keep_only([1, 2, app.fileno()])
    warm_up()
    with contextlib.suppress(ImportError, RuntimeError):
        import pyseccomp  # noqa: F401 (found here once; looking for its library starts a process)
    gc.collect()
    gc.freeze()
    with app:
        Zygote(app).serve()
