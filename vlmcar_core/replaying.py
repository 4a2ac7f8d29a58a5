"""What the replay server knows and how it behaves: recorded answers, how one is found for a request, ways to fail."""

import difflib
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmcar_core import dialogues
from vlmcar_core.dialogue import Exchange, Message
from vlmcar_core.errors import BadInput, UnknownName
from vlmcar_core.store import Session

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
