"""Recorded answers instead of a model: a demo needs no key, and shows what was truly answered then."""

import threading
import time
from collections.abc import Iterator, Sequence

from vlmcar_core import dialogues
from vlmcar_core.dialogue import Exchange, Question, Reply, Told
from vlmcar_core.errors import BadInput, NoRecording
from vlmcar_core.prices import Price
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import Session

TITLE = "Replay: recorded answers of this session"
BY_HAND = False
PIECE_CHARS = 24
PIECE_SECONDS = 0.01
"""Answers arrive in pieces, as they did."""


class Replay:
    """Answers every question with what was recorded for that question, in the order of recording."""

    def __init__(self, recorded: Sequence[Exchange], name: str) -> None:
        self.name = name
        self._recorded = tuple(recorded)
        self._lock = threading.Lock()
        self._used: set[int] = set()

    def answer(self, question: Question, told: Told) -> Reply:
        """Raises `NoRecording` where nothing was recorded for this question, or all of it was given already."""
        with self._lock:
            found = next(self._fitting(question), None)
            if found is not None:
                self._used.add(found)
        if found is None:
            raise NoRecording(
                f"no answer to {question.stage!r}, try {question.attempt}, is recorded; the sub-tasks or the prompts "
                "may have changed since: ask a model, or replay the conversation from its beginning"
            )
        reply = self._recorded[found].reply
        began = time.monotonic()
        for piece in pieces(reply.text):
            told(piece)
            time.sleep(PIECE_SECONDS)
        return Reply(reply.text, self.name, time.monotonic() - began, 0, 0, 0.0, reply.cut)

    def _fitting(self, question: Question) -> Iterator[int]:
        """The answers to the very same question first, then to the same stage."""
        free = [(number, done) for number, done in enumerate(self._recorded) if number not in self._used]
        asked = question.asked.text
        yield from (number for number, done in free if done.messages and done.messages[-1].text == asked)
        yield from (number for number, done in free if (done.stage, done.attempt) == (question.stage, question.attempt))


def pieces(text: str) -> Iterator[str]:
    """A text in the small pieces in which a server streams it."""
    yield from (text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS))


def recordings(session: Session) -> list[dialogues.Dialogue]:
    """The conversations of a session that came to a proposal and were not themselves replayed, by number."""
    return [
        item
        for item in dialogues.dialogues(session).items
        if item.proposal is not None and item.header.vlm != "replay" and not item.header.brief.repair
    ]


def connect(session: Session, server: Server, key: Key, prices: Sequence[Price]) -> Replay:
    """Replay the newest recorded conversation, or the one whose number is the server's `model`.

    Raises:
        BadInput: nothing is recorded, or not that one.
    """
    found = recordings(session)
    wanted = server.model.strip()
    chosen = [item for item in found if not wanted.isdigit() or item.number == int(wanted)]
    if not chosen:
        there = ", ".join(str(item.number) for item in found) or "none"
        raise BadInput(
            f"session {session.name!r} has no recorded conversation {wanted or ''} to replay; there are: {there}. "
            "Ask a model once, or open the example session that has one"
        )
    mending = [
        done
        for item in dialogues.dialogues(session).items
        if item.header.brief.repair and item.header.vlm != "replay"
        for done in item.exchanges
    ]
    name = f"replay of dialogue {chosen[-1].number}: {chosen[-1].model}"
    return Replay([*chosen[-1].exchanges, *mending], name)
