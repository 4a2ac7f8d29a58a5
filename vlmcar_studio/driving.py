"""The WebSocket behind the page Drive: each connection has an environment of its own, in a process of its own.

The server holds no environment and looks into no message; it bounds them, and passes them on (see
`vlmcar_core.drive_host`). `guard.OnlyUs` stands before this route as before every other. A process is ended with its
connection; where the server itself is ended its pipes close, and the process ends by itself.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from vlmcar_core import drive_host, pipeline
from vlmcar_core.drive_host import LENGTH
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session

AT_ONCE_MAX = 4
"""Environments that are driven in this app, in all its tabs; each is a process with a simulator."""

GRACE_SECONDS = 3.0
"""Given to a process whose tab has gone."""

TOO_LARGE, WRONG_KIND, NORMAL = 1009, 1003, 1000
"""Why a WebSocket was closed (RFC 6455, section 7.4.1)."""

_driven: set[object] = set()


async def drive(socket: WebSocket) -> None:
    """One tab's environment, from its connection to the end of it."""
    await socket.accept()
    if len(_driven) >= AT_ONCE_MAX:
        await _refuse(socket, f"{AT_ONCE_MAX} environments are being driven already; close one in another tab first")
        return
    place = object()
    _driven.add(place)
    try:
        session = Session.open(pipeline.default_root(), socket.path_params["session"])
        async with _hosting(session) as process:
            await _pass_on(socket, process)
    except (BadInput, DamagedFile) as error:
        await _refuse(socket, str(error))
    except WebSocketDisconnect:
        pass
    finally:
        _driven.discard(place)


@asynccontextmanager
async def _hosting(session: Session) -> AsyncIterator[Process]:
    """The process of an environment, for the length of the block."""
    root = str(session.folder.parent.resolve())
    argv = [sys.executable, "-m", "vlmcar_core", "--root", root, "drive-host", session.name]
    process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, start_new_session=True)
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    """Let it finish what it was just asked for, such as to save, and end it then."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _pass_on(socket: WebSocket, process: Process) -> None:
    """Wishes to the process and answers to the tab, until one of the two is gone."""
    assert process.stdin is not None and process.stdout is not None
    ways = [
        asyncio.create_task(_wishes(socket, process.stdin)),
        asyncio.create_task(_answers(process.stdout, socket)),
    ]
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
    for way in done:
        way.result()


async def _wishes(socket: WebSocket, to: asyncio.StreamWriter) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            await socket.close(WRONG_KIND, "only text is read here")
            return
        data = text.encode(errors="replace")
        if len(data) > drive_host.WISH_LIMIT_BYTES:
            await socket.close(TOO_LARGE, f"more than {drive_host.WISH_LIMIT_BYTES} bytes")
            return
        to.write(LENGTH.pack(len(data)) + data)
        try:
            await to.drain()
        except ConnectionError:  # the process has gone; what it said last is on its way
            return


async def _answers(source: asyncio.StreamReader, socket: WebSocket) -> None:
    try:
        while True:
            (length,) = LENGTH.unpack(await source.readexactly(LENGTH.size))
            if length > drive_host.ANSWER_LIMIT_BYTES:
                break
            answer = await source.readexactly(length)
            if socket.application_state is not WebSocketState.CONNECTED:
                return
            await socket.send_bytes(answer)
    except asyncio.IncompleteReadError:
        pass
    await _refuse(socket, "the environment's process has ended; start it again")


async def _refuse(socket: WebSocket, words: str) -> None:
    """Say why nothing can be driven, or not any more, and hang up."""
    if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
        await socket.send_bytes(drive_host.packed({"error": words[:1000], "ended": True}))
        await socket.close(NORMAL)
