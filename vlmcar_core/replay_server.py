"""A server that speaks OpenAI's chat completions and answers with what was recorded in sessions.

For demos of any OpenAI client without a key, and for tests: it looks at the pictures it is sent (decoded and compared
with the recorded ones, pixel by pixel), and it can be told to fail, in every way in which servers fail.

It has no model. The one thing that it answers by itself is the connection test: it reads the four colours off the
picture.
"""

import base64
import binascii
import difflib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from vlmcar_core import dialogues, files, images
from vlmcar_core.dialogue import Exchange, Message
from vlmcar_core.errors import BadImage, BadInput, UnknownName
from vlmcar_core.eyes import COLOURS
from vlmcar_core.store import Session
from vlmcar_core.types import Frame
from vlmcar_core.vlms.replay import pieces

REQUEST_LIMIT_BYTES = 100 * 1024 * 1024
PAUSE_SECONDS = 0.004
TOKEN_CHARS = 4
"""The usage that it reports is an estimate: a token for so many letters."""

ALIKE = 0.85
"""Two questions are the same in other words where they share so much of their letters (difflib's ratio)."""

FAULTS = {
    "ok": "no fault: let one request pass",
    "401": "the key is wrong",
    "403": "the key may not do this",
    "404": "there is no such model",
    "429": "too many requests; 429:2 asks to wait 2 s",
    "quota": "the account has no credit left (429)",
    "500": "the server failed",
    "503": "the server is overloaded",
    "slow": "the first byte comes late; slow:3 after 3 s",
    "silence": "the answer stops in the middle and the connection stays; silence:3 for 3 s",
    "cut": "the connection is cut in the middle of the answer",
    "end": "the answer ends in the middle as if it were whole, without a reason",
    "json": "what comes is no JSON",
    "html": "a web page comes instead",
    "empty": "an answer without a choice",
    "nothing": "an answer without a word",
    "refusal": "the model declines",
    "filter": "a filter holds the answer back",
    "length": "the answer is cut off by the limit on its length",
    "stream-error": "the error comes as a part of the answer",
    "context": "the conversation is too long",
    "no-vision": "the model takes no pictures",
    "one-image": "the model takes one picture only",
    "no-schema": "a schema for the answer is refused; requests without one pass",
    "no-stream-options": "stream_options is refused; requests without it pass",
    "garbled": "an answer that cannot be read as what was asked",
}


@dataclass
class Fault:
    """A fault and how often it still happens."""

    name: str
    value: float | None
    left: float
    """Infinity where it never stops."""


def fault(text: str) -> Fault:
    """`name`, `name:value`, either with `*count` or `*` (always) behind it.

    Raises:
        UnknownName: there is no such fault.
        BadInput: it is written otherwise.
    """
    found = re.fullmatch(r"([a-z0-9-]+)(?::([0-9.]+))?(?:\*(\d*))?", text.strip())
    if not found:
        raise BadInput(f"a fault is written like 429:2, cut*3 or no-schema*, not {text!r}")
    name, value, count = found.groups()
    if name not in FAULTS:
        raise UnknownName.among("fault", name, FAULTS)
    left = 1.0 if count is None else float(count) if count else float("inf")
    return Fault(name, float(value) if value else None, left)


@dataclass(frozen=True)
class Recorded:
    """One recorded answer and what it answered."""

    model: str
    exchange: Exchange
    pictures: tuple[bytes, ...]
    """PNGs that went with the whole conversation, in order."""

    place: int
    """So many questions were answered well before it."""

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(message.text for message in self.exchange.messages)


def recorded(sessions: Sequence[Session]) -> list[Recorded]:
    """Everything that models, or persons, answered in these sessions.

    Raises:
        BadInput: that is nothing.
    """
    found = []
    for session in sessions:
        for item in dialogues.dialogues(session).items:
            shown, place = item.pictures, 0
            for exchange in item.exchanges:
                names = [name for message in exchange.messages for name in message.pictures]
                data = tuple(shown[name] for name in names if name in shown)
                found.append(Recorded(exchange.reply.model, exchange, data, place))
                place += not exchange.problem
    if not found:
        asked = ", ".join(session.name for session in sessions) or "none"
        raise BadInput(f"nothing is recorded in these sessions: {asked}; ask a model there once")
    return found


@dataclass
class Replayer:
    """What the server knows and how it behaves; shared by its threads."""

    answers: Sequence[Recorded]
    faults: list[Fault] = field(default_factory=list)
    key: str = field(default="", repr=False)
    """Requests must bring it; empty takes any."""

    any_pictures: bool = False
    """Do not compare pictures with the recorded ones."""

    blind: bool = False
    """Fail the connection test, as a model without vision does."""

    log: Path | None = None
    """One line of JSON per request: what was asked for, never the key."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._given: dict[tuple[str, ...], int] = {}

    @property
    def models(self) -> list[str]:
        return sorted({answer.model for answer in self.answers})

    def next_fault(self, request: Mapping[str, Any]) -> Fault:
        """The fault that this request meets; those that it gives no occasion for wait for another one."""
        with self._lock:
            for one in self.faults:
                fits = (one.name != "no-schema" or "response_format" in request) and (
                    one.name != "no-stream-options" or "stream_options" in request
                )
                if one.left > 0 and fits:
                    one.left -= 1
                    return Fault(one.name, one.value, 1)
        return Fault("ok", None, 1)

    def answer(self, model: str, messages: Sequence[Message]) -> Recorded | None:
        """The recorded answer to the very same conversation, else to the same question, else to one in nearly the same
        words, else the one in its place; where several fit, each in turn."""
        known = [one for one in self.answers if one.model == model]
        for texts, fitting in self._fitting(known, messages):
            if fitting:
                with self._lock:
                    number = self._given.get(texts, 0)
                    self._given[texts] = number + 1
                return fitting[number % len(fitting)]
        return None

    def _fitting(
        self, known: Sequence[Recorded], messages: Sequence[Message]
    ) -> Iterator[tuple[tuple[str, ...], list[Recorded]]]:
        texts = tuple(message.text for message in messages)
        yield texts, [one for one in known if one.texts == texts]
        for message in reversed(messages):
            if message.role == "user":
                yield (message.text,), [one for one in known if one.texts[-1] == message.text]
        yield texts[-1:], _alike(known, texts[-1])
        turns = sum(message.role == "assistant" for message in messages)
        yield (str(turns),), [one for one in known if one.place == turns and not one.exchange.problem]

    def note(self, line: Mapping[str, Any]) -> None:
        if self.log is not None:
            with self._lock, self.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _alike(known: Sequence[Recorded], text: str) -> list[Recorded]:
    """The answers to the question that is most like this one, where one is alike enough: its form may differ."""
    usable = [one for one in known if not one.exchange.problem]
    ratios = [difflib.SequenceMatcher(None, one.texts[-1], text).quick_ratio() for one in usable]
    best = max(ratios, default=0.0)
    return [one for one, ratio in zip(usable, ratios, strict=True) if ratio == best] if best >= ALIKE else []


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
    """A server that is bound and not serving yet; port 0 is any free one. Raises `BadInput` where it is taken."""
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
            request = self._request()
            if self.path.rstrip("/") != "/v1/chat/completions":
                raise Refused(404, f"there is nothing at {self.path}")
            self._authorize()
            self._complete(request)
        except Refused as error:
            self._refuse(error)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _request(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 < length <= REQUEST_LIMIT_BYTES:
            raise Refused(413, f"the request has {length} bytes")
        try:
            request = json.loads(self.rfile.read(length))
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
