"""What is served besides Streamlit's pages: one route for frames, and what keeps strangers out."""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlmcar_core import pipeline, recordings
from vlmcar_core.errors import BadInput, DamagedFile
from vlmcar_core.store import Session

ROUTER = Path(__file__).with_name("router.py")
ROOT = Path(__file__).parent.parent
HOSTS = ("127.0.0.1", "localhost")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob:; "
        "connect-src 'self' data: blob:; worker-src 'self' blob:; frame-src 'self' blob: data:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
}


def command(port: int, headless: bool) -> list[str]:
    """The command line that serves the app on loopback."""
    argv = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
    return [*argv, "--server.address", HOSTS[0], "--server.headless", str(headless).lower()]


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Streamlit collects garbage after every run of a script: what never changes is put out of its way once.

    A component of Streamlit's first kind, such as the editor, must not be imported here: it would register itself
    before there is a server to register with.
    """
    import gymnasium
    import plotly.graph_objects

    assert gymnasium and plotly.graph_objects
    gc.collect()
    gc.freeze()
    yield


def frame(request: Request) -> Response:
    """One distinct frame of a recorded trajectory, as the PNG that was stored; it never changes."""
    try:
        session = Session.open(pipeline.default_root(), request.path_params["session"])
        path = session.trajectory_path(request.path_params["trajectory"])
        data = recordings.read_png(path, _number(request.path_params["number"]))
    except (BadInput, DamagedFile) as error:
        return PlainTextResponse(str(error), status_code=404)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadInput(f"a frame has a whole number, not {text[:20]!r}")
    return int(text)


async def home(_request: Request) -> Response:
    """The first page is at the root; its name leads there, too."""
    return RedirectResponse("/")


ROUTES = [
    Route("/home", home, methods=["GET"]),
    Route("/vlmcar/frame/{session}/{trajectory}/{number}.png", frame, methods=["GET"]),
]


class OnlyUs:
    """Refuses foreign hosts and cross-site requests, on Streamlit's routes and ours; adds security headers.

    A browser always says where a WebSocket or a changing request comes from, so one without an Origin is no browser's:
    it comes from a program of this machine, which could say anything. It is answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = _why_refused(headers)
        if refused is not None and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        elif refused is not None:
            await PlainTextResponse(refused[1], status_code=refused[0])(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))


def _why_refused(headers: Headers) -> tuple[int, str] | None:
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        return 400, f"this app answers to {' and '.join(HOSTS)} only"
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return 403, "a request from another site was refused"
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return 403, "a request from another site was refused"
    return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SECURITY_HEADERS)
        await send(message)

    return sending


MIDDLEWARE = [Middleware(OnlyUs)]
