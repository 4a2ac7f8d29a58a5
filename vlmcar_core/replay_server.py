"""A server that speaks OpenAI's chat completions and answers with what was recorded in sessions.

For demos of any OpenAI client without a key, and for tests: it looks at the pictures it is sent (decoded and compared
with the recorded ones, pixel by pixel), and it can be told to fail, in every way in which servers fail.

It has no model. The one thing that it answers by itself is the connection test: it reads the four colours off the
picture.
"""

import base64
import binascii
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from vlmcar_core import files, images, loopback
from vlmcar_core.dialogue import Message
from vlmcar_core.errors import BadImage, BadInput
from vlmcar_core.eyes import COLOURS
from vlmcar_core.replaying import Fault, Recorded, Replayer
from vlmcar_core.types import Frame
from vlmcar_core.vlms.replay import pieces

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
REQUEST_LIMIT_BYTES = 100 * 1024 * 1024
PAUSE_SECONDS = 0.004
TOKEN_CHARS = 4
"""The usage that it reports is an estimate: a token for so many letters."""


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str, code: str | None = None, wait: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.wait = status, code, wait


@contextmanager
def serving(replayer: Replayer, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve for the length of the block, in threads of this process; gives the base URL."""
    server = make_server(replayer, port, host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield base_url(server)
    finally:
        server.shutdown()
        server.server_close()


def make_server(replayer: Replayer, port: int = 0, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A server that is bound and not serving yet; port 0 is any free one.

    Raises:
        BadInput: the port is taken, or the host is not this machine's own loopback.
    """
    loopback.check_address(host, port)
    handler = type("BoundHandler", (Handler,), {"replayer": replayer})
    try:
        return ReplayServer((host, port), handler)
    except OSError as error:
        raise BadInput(f"port {port} of {host} cannot be used ({error.strerror}); choose another") from error


def base_url(server: ThreadingHTTPServer) -> str:
    return f"http://{server.server_address[0]!s}:{server.server_address[1]}/v1"


class ReplayServer(ThreadingHTTPServer):
    """Clients come and go as they like; only what is wrong with the server itself is worth a word."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    replayer: Replayer
    protocol_version = "HTTP/1.1"
    server_version = "vlmcar-replay"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is asked for is in the log that was asked for."""

    def do_GET(self) -> None:
        try:
            self._only_us()
            self._authorize()
            if self.path.rstrip("/") != "/v1/models":
                raise Refused(404, f"there is nothing at {self.path}")
            listed = [
                {"id": name, "object": "model", "created": 0, "owned_by": "replay"} for name in self.replayer.models
            ]
            self._json(200, {"object": "list", "data": listed})
        except Refused as error:
            self._refuse(error)

    def do_POST(self) -> None:
        try:
            self._only_us()
            request = self._request()
            if self.path.rstrip("/") != "/v1/chat/completions":
                raise Refused(404, f"there is nothing at {self.path}")
            self._authorize()
            self._complete(request)
        except Refused as error:
            self._refuse(error)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _only_us(self) -> None:
        """No page of another site may ask, also not one whose name was made to lead here."""
        refused = loopback.refusal(
            lambda name: self.headers.get_all(name, []), str(self.client_address[0]), self.command or ""
        )
        if refused is not None:
            self.close_connection = True
            raise Refused(refused.status, refused.reason)

    def end_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def _request(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or not 0 < int(length) <= REQUEST_LIMIT_BYTES:
            self.close_connection = True
            raise Refused(413, f"the request has {length[:20]} bytes")
        try:
            request = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise Refused(400, f"the request is no JSON: {error}") from error
        if not isinstance(request, dict) or not isinstance(request.get("messages"), list) or not request["messages"]:
            raise Refused(400, "the request has no list of messages")
        return request

    def _authorize(self) -> None:
        wanted = self.replayer.key
        if wanted and self.headers.get("Authorization", "") != f"Bearer {wanted}":
            raise Refused(401, "Incorrect API key provided.", "invalid_api_key")

    def _complete(self, request: dict[str, Any]) -> None:
        fault = self.replayer.next_fault(request)
        messages = [_message(item) for item in request["messages"]]
        shown = [picture for _, pictures in messages for picture in pictures]
        texts = tuple(message.text for message, _ in messages)
        turns = sum(message.role == "assistant" for message, _ in messages)
        self.replayer.note(
            {
                "model": request.get("model"),
                "turns": turns,
                "pictures": [list(picture.shape) for picture in shown],
                "details": [part["image_url"].get("detail") for part in _image_parts(request)],
                "stream": bool(request.get("stream")),
                "schema": "response_format" in request,
                "limit": next((name for name in ("max_tokens", "max_completion_tokens") if name in request), None),
                "fault": fault.name,
            }
        )
        self._before(fault)
        text = self._text(str(request.get("model", "")), [message for message, _ in messages], shown)
        prompt = sum(len(one) for one in texts) // TOKEN_CHARS
        if request.get("stream"):
            asked = request.get("stream_options") or {}
            self._stream(text, str(request["model"]), prompt if asked.get("include_usage") else None, fault)
        else:
            self._whole(text, str(request["model"]), prompt, fault)

    def _text(self, model: str, messages: Sequence[Message], shown: Sequence[Frame]) -> str:
        if model not in self.replayer.models:
            raise Refused(404, f"The model `{model}` does not exist.", "model_not_found")
        if "four squares" in messages[-1].text and len(shown) == 1:
            return "I cannot see any picture." if self.replayer.blind else " ".join(_colours(shown[0]))
        found = self.replayer.answer(model, messages)
        if found is None:
            raise Refused(400, f"nothing is recorded for this question: {messages[-1].text[:80]!r}")
        if not self.replayer.any_pictures:
            _compare(found, shown)
        return found.exchange.reply.text

    def _before(self, fault: Fault) -> None:
        """The faults that come instead of an answer."""
        plain = {
            "401": Refused(401, "Incorrect API key provided.", "invalid_api_key"),
            "403": Refused(403, "This key may not use this model."),
            "404": Refused(404, "The model does not exist.", "model_not_found"),
            "429": Refused(429, "Rate limit reached.", "rate_limit_exceeded", fault.value),
            "quota": Refused(429, "You exceeded your current quota.", "insufficient_quota"),
            "500": Refused(500, "The server had an error."),
            "503": Refused(503, "The engine is overloaded.", None, fault.value),
            "context": Refused(400, "This model's maximum context length is 4096 tokens.", "context_length_exceeded"),
            "no-vision": Refused(400, "image input is not supported by this model"),
            "one-image": Refused(400, "At most 1 image(s) may be provided in one request."),
            "no-schema": Refused(400, "response_format is not supported"),
            "no-stream-options": Refused(400, "stream_options is not supported"),
        }
        if fault.name in plain:
            raise plain[fault.name]
        if fault.name == "slow":
            time.sleep(fault.value or 1.0)

    def _whole(self, text: str, model: str, prompt: int, fault: Fault) -> None:
        if fault.name == "html":
            self._send(200, b"<html><body>Welcome</body></html>", "text/html")
            return
        if fault.name == "json":
            self._send(200, b'{"choices": [', "application/json")
            return
        if fault.name in ("cut", "silence"):
            self._headers(200, "application/json", {"Content-Length": "100000"})
            self.wfile.write(b'{"id": "replay", ')
            self._break(fault)
            return
        text, finish, refusal = _with_fault(text, fault)
        message = {"role": "assistant", "content": None if refusal else text, "refusal": refusal}
        choices = [] if fault.name == "empty" else [{"index": 0, "message": message, "finish_reason": finish}]
        self._json(200, _completion(model, "chat.completion", choices) | {"usage": _usage(prompt, text)})

    def _stream(self, text: str, model: str, prompt: int | None, fault: Fault) -> None:
        if fault.name == "html":
            self._send(200, b"<html><body>Welcome</body></html>", "text/html")
            return
        self._headers(200, "text/event-stream", {"Transfer-Encoding": "chunked"})
        text, finish, refusal = _with_fault(text, fault)
        parts = list(pieces(text))
        half = len(parts) // 2
        for number, part in enumerate(parts if not refusal else []):
            if fault.name in BREAKS and number == half and self._broken(fault):
                return
            self._event(_chunk(model, {"role": "assistant", "content": part}))
            time.sleep(PAUSE_SECONDS)
        if refusal:
            self._event(_chunk(model, {"refusal": refusal}))
        if fault.name != "empty":
            self._event(_chunk(model, {}, finish))
        if prompt is not None:
            self._event(_completion(model, "chat.completion.chunk", []) | {"usage": _usage(prompt, text)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _broken(self, fault: Fault) -> bool:
        """Break off in the middle; True where nothing more is to be sent."""
        if fault.name == "json":
            self._chunk(b'data: {"choices": [\n\n')
            self._chunk(b"")
            return True
        if fault.name == "stream-error":
            self._event({"error": {"message": "The server had an error while it answered.", "code": "server_error"}})
            self._chunk(b"")
            return True
        if fault.name in ("cut", "silence"):
            self._break(fault)
            return fault.name == "cut"
        self._chunk(b"")
        return True

    def _break(self, fault: Fault) -> None:
        self.wfile.flush()
        if fault.name == "silence":
            time.sleep(fault.value or 5.0)
            return
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    # Sending

    def _headers(self, status: int, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, status: int, data: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self._headers(status, kind, {"Content-Length": str(len(data)), **(more or {})})
        self.wfile.write(data)

    def _json(self, status: int, value: Mapping[str, Any], more: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", more)

    def _refuse(self, error: Refused) -> None:
        body = {"error": {"message": str(error), "type": HTTPStatus(error.status).phrase, "code": error.code}}
        self._json(error.status, body, None if error.wait is None else {"Retry-After": f"{error.wait:g}"})

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _event(self, value: Mapping[str, Any]) -> None:
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


BREAKS = ("cut", "silence", "end", "json", "stream-error")


def _with_fault(text: str, fault: Fault) -> tuple[str, str, str | None]:
    """Text, reason of its end, and refusal, as the fault has them."""
    if fault.name == "refusal":
        return "", "stop", "I cannot help with that."
    if fault.name == "length":
        return text[: max(1, len(text) // 2)], "length", None
    if fault.name == "filter":
        return "", "content_filter", None
    if fault.name in ("nothing", "empty"):
        return "", "stop", None
    if fault.name == "garbled":
        return "Certainly! That is a lovely picture.", "stop", None
    return text, "stop", None


def _usage(prompt: int, text: str) -> dict[str, int]:
    answer = max(1, len(text) // TOKEN_CHARS)
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _completion(model: str, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "replay", "object": kind, "created": int(time.time()), "model": model, "choices": choices}


def _chunk(model: str, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return _completion(model, "chat.completion.chunk", [{"index": 0, "delta": delta, "finish_reason": finish}])


def _message(item: Any) -> tuple[Message, list[Frame]]:
    """A message of a request: its text, and its pictures decoded."""
    if not isinstance(item, dict) or item.get("role") not in ("system", "user", "assistant"):
        raise Refused(400, "a message has no role of system, user or assistant")
    content = item.get("content")
    if isinstance(content, str):
        return Message(item["role"], content), []
    if not isinstance(content, list):
        raise Refused(400, "a message's content is neither text nor a list of parts")
    texts = [str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("type") == "text"]
    pictures = [_picture(part) for part in content if isinstance(part, dict) and part.get("type") == "image_url"]
    return Message(item["role"], "\n".join(texts)), pictures


def _image_parts(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    contents = [item.get("content") for item in request["messages"]]
    return [
        part for content in contents if isinstance(content, list) for part in content if part.get("type") == "image_url"
    ]


def _picture(part: Mapping[str, Any]) -> Frame:
    url = str((part.get("image_url") or {}).get("url", ""))
    head, _, data = url.partition(",")
    if not re.fullmatch(r"data:image/(png|jpeg|webp);base64", head):
        raise Refused(400, "a picture is no data URL of a PNG, JPEG or WebP file")
    try:
        return images.decode(base64.b64decode(data, validate=True), "a picture of the request")
    except (binascii.Error, BadImage) as error:
        raise Refused(400, f"a picture cannot be decoded: {error}") from error


def _compare(found: Recorded, shown: Sequence[Frame]) -> None:
    """Raises `Refused` where the pictures are not those of the recording."""
    if len(shown) != len(found.pictures):
        raise Refused(400, f"the recording has {len(found.pictures)} pictures, the request {len(shown)}")
    for number, (wanted, picture) in enumerate(zip(found.pictures, shown, strict=True), 1):
        if not np.array_equal(files.from_png(wanted, f"picture {number}"), picture):
            raise Refused(400, f"picture {number} of the request differs from the recorded one")


def _colours(picture: Frame) -> list[str]:
    """The four colours of the connection test, read off the picture."""
    height, width = picture.shape[:2]
    centres = [picture[y, x].astype(int) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [min(COLOURS, key=lambda name: int(np.abs(centre - COLOURS[name]).sum())) for centre in centres]
