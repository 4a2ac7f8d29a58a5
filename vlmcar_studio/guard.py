"""What stands before every route of the app, Streamlit's and ours, and before its WebSocket.

Streamlit 1.67 serves with Starlette, and `st.App` takes middleware of one's own, which runs before Streamlit's: that is
the supported hook, so nothing of Streamlit is patched. Its own options do less: `server.allowedHosts` guards the
WebSocket and not the pages, its WebSocket lets other ports of this machine in, and it sends no security headers. They
are set all the same (`.streamlit/config.toml`), and `check_options` refuses to start where somebody switched off what
this relies on.

A page of ours, should a stranger's text ever get into it as more than text, still cannot load or send anything: the
content security policy names this server alone, and no inline script but the two that are known by their hash. Three
things are allowed that one would rather not:

- inline *styles*, which Streamlit's components make as they go;
- scripts from `blob:`, which is how Streamlit loads the code of a component such as the replay player; only a script
  that runs already can make one;
- WebAssembly, in which Streamlit's reader of messages counts long integers; JavaScript's own `eval` stays off.
"""

import base64
import hashlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlmcar_core import loopback
from vlmcar_core.errors import BadInput

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
DOCUMENTS = (("streamlit", "static/index.html"), ("streamlit_ace", "frontend/build/index.html"))
"""The two documents of the app: the page, and the frame of the editor."""

OPTIONS = {
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "client.showErrorDetails": "none",
    "browser.gatherUsageStats": False,
    "global.developmentMode": False,
}
"""Of Streamlit's options, those that must be so."""


def inline_hashes() -> Iterator[str]:
    """The hashes of the inline scripts of what is installed, as a content security policy writes them."""
    for package, name in DOCUMENTS:
        spec = importlib.util.find_spec(package)  # not imported: see server.lifespan
        assert spec is not None and spec.origin is not None
        text = (Path(spec.origin).parent / name).read_text(encoding="utf-8")
        for script in INLINE_SCRIPT.findall(text):
            yield f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


POLICY = {
    "default-src": "'none'",
    "script-src": f"'self' blob: 'wasm-unsafe-eval' {' '.join(inline_hashes())}",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "frame-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'self'",
}
UNUSED = (
    *("accelerometer", "autoplay", "camera", "display-capture", "geolocation", "gyroscope", "hid"),
    *("magnetometer", "microphone", "midi", "payment", "serial", "usb"),
)
SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in UNUSED),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}


class OnlyUs:
    """Refuses foreign peers, hosts and sites (see `vlmcar_core.loopback`); every answer has the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        refused = _refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused.reason})
        else:
            await PlainTextResponse(refused.reason, status_code=refused.status)(scope, receive, send)


def _refusal(scope: Scope) -> loopback.Refusal | None:
    peer = scope.get("client") or ("", 0)
    scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
    return loopback.refusal(Headers(scope=scope).getlist, peer[0], scope.get("method", "CONNECT"), scheme)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(SECURITY_HEADERS)
        await send(message)

    return sending


async def fault(_request: Request, _error: Exception) -> Response:
    """The answer to a request that failed in a way nobody foresaw; what went wrong is in the log alone.

    Starlette makes it outside of all middleware, so it brings the headers itself.
    """
    return PlainTextResponse("a fault of the program; see its log", status_code=500, headers=SECURITY_HEADERS)


def check_options() -> None:
    """Look at how the app is about to be served, however it was started.

    Raises:
        BadInput: on an address that others can reach, or with a protection of Streamlit's switched off.
    """
    loopback.check_address(st.get_option("server.address"), st.get_option("server.port"))
    for name, wanted in OPTIONS.items():
        if st.get_option(name) != wanted:
            raise BadInput(f"Streamlit's option {name} has to be {str(wanted).lower()} here; leave it as it comes")
