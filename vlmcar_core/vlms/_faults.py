"""What a server's fault means, and what to do about it: the client's exceptions as ours."""

import email.utils
import re
import time
from typing import Any

import httpx2
import openai

from vlmcar_core import servers
from vlmcar_core.errors import (
    BadRequest,
    ConnectionLost,
    ContextTooLong,
    NotUnderstood,
    NoVision,
    Overloaded,
    QuotaSpent,
    RateLimited,
    RefusedToAnswer,
    TimedOut,
    UnknownModel,
    Unreachable,
    VlmError,
    WrongKey,
)
from vlmcar_core.servers import Key, Server

QUOTED_CHARS = 300

TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum context|context_length_exceeded|exceed_context|too many tokens|"
    r"prompt is too long|input is too long|exceeds? the (model'?s )?(available |maximum )?context",
    re.IGNORECASE,
)
PICTURES = re.compile(r"image|vision|multi-?modal|mmproj|picture", re.IGNORECASE)
NOT_TAKEN = re.compile(
    r"not support|unsupported|does not|doesn't|cannot|can't|only|at most|not a multi|no endpoints|must be a string|"
    r"invalid|unexpected|unknown|limit|expected|exceed",
    re.IGNORECASE,
)
NO_CREDIT = re.compile(
    r"insufficient.(quota|credit|balance|funds)|billing|payment required|exceeded your current quota", re.I
)
FILTERED = re.compile(r"content.?(policy|filter)|safety|moderation|flagged", re.IGNORECASE)
NO_MODEL = re.compile(r"model", re.IGNORECASE)


def short(text: str, limit: int = QUOTED_CHARS) -> str:
    """A server's words on one line, bounded, without control characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return line[: limit - 1] + "…" if len(line) > limit else line


def about_schema(words: str) -> bool:
    """Whether a complaint is about the schema that an answer is to keep. Some servers send it as a fault of theirs."""
    return bool(re.search(r"response_?format|json_schema|structured.?output|grammar", words, re.IGNORECASE))


def explained(error: Exception, server: Server, key: Key) -> VlmError:
    """Our error for what the client raised; the key is in none of them."""
    if isinstance(error, VlmError):
        return error
    found = _found(error, server, key)
    found.args = (key.scrubbed(str(found)),)
    return found


def _found(error: Exception, server: Server, key: Key) -> VlmError:
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return _timed_out(error, server)
    if isinstance(error, openai.APIStatusError):
        return _refused(error.status_code, key.scrubbed(_words(error)), error, server, key)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
        return _not_connected(error, server)
    if isinstance(error, openai.APIError) and not isinstance(error, openai.APIResponseValidationError):
        return _in_stream(error, server, key)
    return NotUnderstood(
        f"what {server.base_url} sent is not the chat-completions protocol ({short(str(error), 120)}); "
        "does the address end in /v1, and is it that of the API?"
    )


def _timed_out(error: Exception, server: Server) -> VlmError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, httpx2.ConnectTimeout):
        cause = cause.__cause__
    if cause is not None:
        return Unreachable(f"{server.base_url} did not take the connection in time; is the server up?")
    return TimedOut(
        f"{server.title} sent nothing for {server.silence_seconds:g} s; a busy or slow server needs a longer silence"
    )


def _not_connected(error: Exception, server: Server) -> VlmError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, httpx2.TransportError):
        cause = cause.__cause__
    if isinstance(cause, httpx2.RemoteProtocolError | httpx2.ReadError | httpx2.WriteError):
        return ConnectionLost(f"the connection to {server.base_url} was lost ({short(str(cause), 120)})")
    why = short(str(cause or error), 120)
    return Unreachable(f"no server answers at {server.base_url} ({why}); start it, or correct the address")


def _in_stream(error: openai.APIError, server: Server, key: Key) -> VlmError:
    """An error that a server reported as a part of its answer."""
    words = short(key.scrubbed(error.message))
    code = str(error.code or "")
    if code.isdigit() and int(code) >= 400:
        return _refused(int(code), words, None, server, key)
    if "rate" in code.lower():
        return RateLimited(f"{server.title} takes no more requests now: {words}")
    if TOO_LONG.search(words + code):
        return _too_long(server, words)
    return Overloaded(f"{server.title} failed while it answered: {words}")


def _words(error: openai.APIStatusError) -> str:
    body: Any = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        message = inner.get("message") if isinstance(inner, dict) else inner
        code = f" ({inner['code']})" if isinstance(inner, dict) and isinstance(inner.get("code"), str) else ""
        if message:
            return short(str(message)) + code
    return short(error.response.text if body is None or isinstance(body, str) else str(body))


def _refused(status: int, words: str, error: openai.APIStatusError | None, server: Server, key: Key) -> VlmError:
    """What an HTTP status of 400 and above means, with the server's own words."""
    said = f"HTTP {status}: {words}" if words else f"HTTP {status}"
    if status == 402 or NO_CREDIT.search(words):
        return QuotaSpent(f"the account at {server.base_url} has no credit left ({said}); add some, or use another key")
    if about_schema(words):
        return BadRequest(f"{server.title} does not take a schema for its answer ({said})")
    if status in (401, 403):
        return _wrong_key(said, server, key)
    if status == 429:
        return _limited(said, error, server)
    if status >= 500 or status in (408, 409, 425):
        again = Overloaded(f"{server.title} is overloaded or failed ({said})")
        again.wait_seconds = retry_after(error)
        return again
    return _bad_request(status, words, said, server)


def _bad_request(status: int, words: str, said: str, server: Server) -> VlmError:
    if TOO_LONG.search(words):
        return _too_long(server, said)
    if PICTURES.search(words) and NOT_TAKEN.search(words):
        return NoVision(
            f"{server.title} does not take these pictures ({said}); choose a model with vision, or, where it takes "
            "only one picture, send both frames side by side"
        )
    if FILTERED.search(words):
        return RefusedToAnswer(f"{server.title} declined ({said}); change the hint or the frames")
    if status == 413:
        return BadRequest(f"the request is too large for {server.base_url} ({said}); send smaller pictures")
    if status == 404 and not NO_MODEL.search(words):
        return BadRequest(
            f"there is no chat-completions API at {server.base_url} ({said}); does the address end in /v1?"
        )
    if status == 404 or re.search(r"model.{0,80}(not found|not exist|unknown|invalid)|unknown model", words, re.I):
        return UnknownModel(f"{server.base_url} has no model {server.model!r} ({said}); choose one of its list")
    return BadRequest(f"{server.title} does not accept the request ({said})")


def _wrong_key(said: str, server: Server, key: Key) -> VlmError:
    if key:
        return WrongKey(
            f"{server.base_url} does not accept the key from: {key.origin} ({said}); check it, or its rights"
        )
    return WrongKey(
        f"{server.base_url} wants a key and there is none ({said}); set {servers.KEY_VARIABLE}, keep it in the "
        "system's keyring, or type it"
    )


def _limited(said: str, error: openai.APIStatusError | None, server: Server) -> VlmError:
    limited = RateLimited(f"{server.title} takes no more requests for now ({said})")
    limited.wait_seconds = retry_after(error)
    return limited


def _too_long(server: Server, said: str) -> VlmError:
    return ContextTooLong(
        f"the conversation is longer than {server.model} can read ({said}); smaller pictures, shorter "
        "prompts or a lower limit on answers help, or a larger context where the server lets you set it"
    )


def retry_after(error: openai.APIStatusError | None) -> float | None:
    """Seconds that the server asks to wait: `Retry-After` as seconds or as a date (RFC 9110, 10.2.3), or
    `retry-after-ms`; None where it does not say."""
    if error is None:
        return None
    headers = error.response.headers
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value) * scale
    when = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if when is None else max(0.0, email.utils.mktime_tz(when) - time.time())
