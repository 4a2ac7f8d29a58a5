"""Any server that speaks OpenAI's chat completions, through the `openai` client.

Every fault is turned into one of our errors, with what to do about it; whoever asks decides what is tried again.
"""

import base64
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx2
import openai
from openai import OpenAI

from vlmcar_core import prices, servers
from vlmcar_core.dialogue import Message, Question, Reply, Told
from vlmcar_core.errors import BadInput, BadRequest, ConnectionLost, EmptyAnswer, NotUnderstood, RefusedToAnswer
from vlmcar_core.prices import Price
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import Session
from vlmcar_core.vlms import _faults

TITLE = "A model: any OpenAI-compatible server"
BY_HAND = False
CONNECT_SECONDS = 10.0
ADAPTIONS = 4
"""So many settings of one request may turn out to be unknown to the server."""


def connect(session: Session, server: Server, key: Key, prices: Sequence[Price]) -> "OpenAiVlm":
    """A model on a server; nothing is sent yet.

    Raises:
        BadInput: no model is chosen.
    """
    if not server.model.strip():
        raise BadInput(f"no model is chosen at {server.base_url}; choose one of its list, or enter its name")
    return OpenAiVlm(server, key, prices)


def models(server: Server, key: Key) -> list[str]:
    """The models that a server offers, by name.

    Raises:
        VlmError: it does not answer as it should.
    """
    with _client(server, key) as client:
        try:
            found = [str(getattr(model, "id", "")) for model in client.models.list()]
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
            raise _faults.explained(error, server, key) from error
    return sorted(name for name in found if name)


class OpenAiVlm:
    """A model on a server."""

    def __init__(self, server: Server, key: Key, table: Sequence[Price] = ()) -> None:
        self.name = server.model
        self._server, self._key, self._table = server, key, table
        self._client = _client(server, key)
        self._lock = threading.Lock()
        self._without: set[str] = set()
        newer_first = server.base_url.rstrip("/") == servers.PRESETS["openai"].base_url
        self._limits = (
            ("max_completion_tokens", "max_tokens") if newer_first else ("max_tokens", "max_completion_tokens")
        )

    def answer(self, question: Question, told: Told) -> Reply:
        """Ask once. Settings that the server does not know are left out and the question is sent again.

        Raises:
            VlmError: see `errors.py`; `BadRequest` with the word "response_format" in it where the server does not
                take the schema of the answer.
        """
        for _ in range(ADAPTIONS):
            request = self._request(question)
            try:
                return self._once(request, told)
            except BadRequest as error:
                if not self._adapted(str(error), request):
                    raise
        raise BadRequest("the server refuses one setting of the request after the other; see its own log")

    def _once(self, request: dict[str, Any], told: Told) -> Reply:
        began = time.monotonic()
        try:
            found = self._streamed(request, told) if self._server.stream else self._whole(request, told)
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
            raise _faults.explained(error, self._server, self._key) from error
        text, model, finish, used = found
        if finish == "content_filter":
            raise RefusedToAnswer("a filter of the server held the answer back; change the hint or the frames")
        if not text.strip():
            why = (
                f"the limit of {self._server.max_tokens} tokens was used up before its first word (thinking counts): "
                "raise the limit"
                if finish == "length"
                else "ask again, or choose another model"
            )
            raise EmptyAnswer(f"{self.name} answered without a word; {why}")
        spent = prices.money(model or self.name, *used, self._table)
        if spent is None:
            spent = prices.money(self.name, *used, self._table)
        seconds = time.monotonic() - began
        signed = _faults.short(self._key.scrubbed(model), 100) or self.name
        return Reply(self._key.scrubbed(text), signed, seconds, *used, spent, finish == "length")

    def _streamed(self, request: dict[str, Any], told: Told) -> tuple[str, str, str, tuple[int | None, int | None]]:
        extra = {} if "stream_options" in self._without else {"stream_options": {"include_usage": True}}
        parts, refusal, model, finish, usage = [], [], "", "", None
        choices, scrubbing = 0, self._key.scrubbing(told)
        create: Any = self._client.chat.completions.create
        with create(**request, **extra, stream=True) as stream:
            for chunk in stream:
                model = getattr(chunk, "model", None) or model
                usage = getattr(chunk, "usage", None) or usage
                for choice in (getattr(chunk, "choices", None) or [])[:1]:
                    choices += 1
                    finish = choice.finish_reason or finish
                    refusal.append(getattr(choice.delta, "refusal", None) or "")
                    if piece := getattr(choice.delta, "content", None):
                        parts.append(str(piece))
                        scrubbing(str(piece))
        scrubbing.close()
        if "".join(refusal).strip():
            raise RefusedToAnswer(f"{self.name} declined: {_faults.short(self._key.scrubbed(''.join(refusal)))}")
        if not choices:
            raise EmptyAnswer(f"{self.name} sent an answer without any choice; ask again")
        if not finish:
            raise ConnectionLost("the answer broke off before its end; it is asked again from the beginning")
        return "".join(parts), str(model), str(finish), _tokens(usage)

    def _whole(self, request: dict[str, Any], told: Told) -> tuple[str, str, str, tuple[int | None, int | None]]:
        found = self._client.chat.completions.create(**request)
        if not isinstance(found, openai.types.chat.ChatCompletion):
            raise NotUnderstood(f"{self._server.base_url} answers with what is no chat completion; see its address")
        if not found.choices:
            raise EmptyAnswer(f"{self.name} sent an answer without any choice; ask again")
        choice = found.choices[0]
        if choice.message.refusal:
            raise RefusedToAnswer(f"{self.name} declined: {_faults.short(self._key.scrubbed(choice.message.refusal))}")
        text = choice.message.content or ""
        told(self._key.scrubbed(text))
        return text, found.model or "", choice.finish_reason or "stop", _tokens(found.usage)

    def _request(self, question: Question) -> dict[str, Any]:
        server, without = self._server, self._without
        limit = next((name for name in self._limits if name not in without), None)
        request: dict[str, Any] = {
            "model": server.model,
            "messages": [_message(message, question, server, "detail" in without) for message in question.messages],
        }
        if limit is not None:
            request[limit] = server.max_tokens
        if server.temperature is not None and "temperature" not in without:
            request["temperature"] = server.temperature
        if question.schema is not None:
            request["response_format"] = _form(question.schema, bare="json_schema" in without)
        return request

    def _adapted(self, message: str, request: dict[str, Any]) -> bool:
        """Leave out the setting that a server's complaint names; False where it names none that may be left out."""
        sent = [name for name in (*self._limits, "temperature") if name in request]
        named = [name for name in (*sent, "stream_options", "detail") if name in message and name not in self._without]
        if "response_format" in request and "json_schema" not in self._without and _faults.about_schema(message):
            named = ["json_schema"]
        with self._lock:
            self._without.update(named[:1])
        return bool(named)


def _client(server: Server, key: Key) -> OpenAI:
    patience = httpx2.Timeout(server.silence_seconds, connect=CONNECT_SECONDS)
    local = servers.is_local(server.base_url)
    client = OpenAI(
        base_url=server.base_url,
        api_key=key.value or "none",
        max_retries=0,
        timeout=patience,
        http_client=openai.DefaultHttpxClient(timeout=patience, trust_env=not local),
    )
    if server.preset != "openai":  # what the environment says of an account there is nobody else's business
        client.organization = client.project = None
    return client


def _message(message: Message, question: Question, server: Server, plain: bool) -> dict[str, Any]:
    if not message.pictures:
        return {"role": message.role, "content": message.text}
    return {"role": message.role, "content": list(_parts(message, question, server, plain))}


def _parts(message: Message, question: Question, server: Server, plain: bool) -> Iterator[dict[str, Any]]:
    yield {"type": "text", "text": message.text}
    for name in message.pictures:
        url = "data:image/png;base64," + base64.b64encode(question.pictures[name]).decode()
        detail = {} if plain or server.detail == "auto" else {"detail": server.detail}
        yield {"type": "image_url", "image_url": {"url": url, **detail}}


def _form(schema: Mapping[str, Any], bare: bool) -> dict[str, Any]:
    """The wish for JSON: by OpenAI's name for a schema, or the older one, to which llama.cpp's servers add a schema."""
    if bare:
        return {"type": "json_object", "schema": dict(schema)}
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}}


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    found = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
    return (
        found[0] if isinstance(found[0], int) else None,
        found[1] if isinstance(found[1], int) else None,
    )
