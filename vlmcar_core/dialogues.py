"""Conversations with a model on disk: everything that was asked and answered, word for word.

    dialogues/<n>/
      dialogue.json                  what it is about, which model, with which settings; the prompts as they were
      initial.png, goal.png, …       the pictures as they were sent
      frames/                        initial.png, goal.png in their true size
      <number>-<stage>.json          one question and its answer, with what it cost
      partial.txt                    the answer that is arriving, while it does
      proposal.json                  the number of the proposal that it came to

Written by the one who asks. It may be stopped anywhere; what is there says what is asked next.
"""

import dataclasses
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlmcar_core import files, prompts, questions, records
from vlmcar_core.dialogue import Brief, Case, Exchange, Message, Question, Reply, Spent
from vlmcar_core.errors import ChangedElsewhere, DamagedFile, NotUnderstood
from vlmcar_core.reading import Misread
from vlmcar_core.store import Listing, Session, now
from vlmcar_core.types import Frame

DIALOGUE, PARTIAL, OUTCOME, TRUE = "dialogue.json", "partial.txt", "proposal.json", "frames"
STAGE = re.compile(r"goal|subtasks|check-[1-9][0-9]?|goal-check|repair")
PARTIAL_LIMIT_CHARS = 1_000_000


@dataclass(frozen=True)
class Header:
    """What a conversation is."""

    brief: Brief
    vlm: str
    """The file in `vlms/` that asks."""

    settings: Mapping[str, Any]
    """How it asks: address, model and the like; never a key."""

    prompts_version: int
    prompts_digest: str
    group: str = ""
    """What it belongs to, such as one of several tries."""

    candidate: bool = False
    """Its proposal is kept to be looked at, rather than standing at once."""

    created: str = ""
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Dialogue:
    """A conversation as its folder shows it."""

    folder: Path
    header: Header
    exchanges: tuple[Exchange, ...]
    proposal: int | None
    """What it came to; None until it is through."""

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def spent(self) -> Spent:
        return sum((Spent.of(done.reply) for done in self.exchanges), Spent())

    @property
    def model(self) -> str:
        """The model as it last signed; else as it was asked for."""
        if self.exchanges:
            return self.exchanges[-1].reply.model
        return str(self.header.settings.get("model") or self.header.vlm)

    @property
    def changed(self) -> float:
        """Unix time at which something was last written in it, seconds."""
        return max(path.stat().st_mtime for path in (self.folder, *self.folder.glob("*.*")))

    @property
    def pictures(self) -> dict[str, bytes]:
        """Name to PNG."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.glob("*.png"))}

    def frame(self, name: str) -> Frame:
        """ "initial" or "goal" in its true size, RGB uint8 (H, W, 3). Raises `DamagedFile`."""
        path = self.folder / TRUE / f"{name}.png"
        try:
            return files.from_png(path.read_bytes(), path.name)
        except OSError as error:
            raise DamagedFile(f"{path.name} of dialogue {self.folder.name} cannot be read ({error})") from error

    @property
    def question(self) -> Question | None:
        """What is asked next; None where everything is answered.

        Raises:
            Unreadable: the question that is due was asked as often as it may be.
        """
        return questions.next_question(self.header.brief, self.exchanges, self.pictures)

    @property
    def partial(self) -> str:
        """The answer that is arriving; empty while none is."""
        path = self.folder / PARTIAL
        try:
            return path.read_text(encoding="utf-8", errors="ignore")
        except FileNotFoundError:
            return ""


def begin(session: Session, header: Header, pictures: Mapping[str, bytes], frames: Mapping[str, Frame]) -> Dialogue:
    """A new conversation of a session.

    Args:
        header: what it is; its `created` is filled in.
        pictures: as they are sent, name to PNG.
        frames: "initial" and "goal" in their true size, on which code is tried.
    """
    folder = session.new_dialogue_folder()
    for name, data in pictures.items():
        files.write_bytes(folder / name, data)
    for name, frame in frames.items():
        files.write_bytes(folder / TRUE / f"{name}.png", files.png(frame))
    _write(folder, dataclasses.replace(header, created=now()))
    return read(folder)


def adapt(dialogue: Dialogue, **changes: Any) -> Dialogue:
    """Go on in another way, as the server or the person needs it; `changes` are fields of the brief."""
    header = dataclasses.replace(dialogue.header, brief=dataclasses.replace(dialogue.header.brief, **changes))
    _write(dialogue.folder, header)
    return dataclasses.replace(dialogue, header=header)


def _write(folder: Path, header: Header) -> None:
    value = asdict(dataclasses.replace(header, brief=dataclasses.replace(header.brief, previous=None)))
    previous = header.brief.previous
    value["brief"]["previous"] = None if previous is None else _previous_json(previous)
    files.write_json(folder / DIALOGUE, value)


def read(folder: Path) -> Dialogue:
    """Raises `DamagedFile`."""
    path = folder / DIALOGUE
    if not path.is_file():
        raise DamagedFile(f"dialogue {folder.name} has no {DIALOGUE}; move the folder away")
    value = files.read_json(path)
    header = files.parse(path, lambda: _header(value))
    exchanges = tuple(_read_exchange(found) for found in sorted(folder.glob("[0-9][0-9][0-9]-*.json")))
    try:
        questions.readings(exchanges)
    except Misread as error:
        raise DamagedFile(f"an answer of dialogue {folder.name} cannot be read any more ({error})") from error
    outcome = folder / OUTCOME
    number = files.parse(outcome, lambda: int(files.read_json(outcome)["proposal"])) if outcome.is_file() else None
    return Dialogue(folder, header, exchanges, number)


def dialogues(session: Session) -> Listing[Dialogue]:
    """All conversations of a session, by number."""
    items, problems = [], []
    for folder in session.dialogue_folders():
        try:
            items.append(read(folder))
        except DamagedFile as error:
            problems.append(f"dialogue {folder.name}: {error}")
    return Listing(tuple(items), tuple(problems))


def spent(session: Session) -> Spent:
    """What all conversations of a session cost together."""
    return sum((item.spent for item in dialogues(session).items), Spent())


def add(dialogue: Dialogue, exchange: Exchange) -> Dialogue:
    """Keep a question and its answer; returns the conversation with it.

    Raises:
        ChangedElsewhere: somebody else has kept one in its place meanwhile.
    """
    path = dialogue.folder / f"{len(dialogue.exchanges):03d}-{exchange.stage}.json"
    kept = dataclasses.replace(exchange, created=now())
    try:
        files.add_json(path, asdict(kept))
    except FileExistsError as error:
        raise ChangedElsewhere(
            f"dialogue {dialogue.number} was answered in another tab or by a command meanwhile; look at it again"
        ) from error
    (dialogue.folder / PARTIAL).unlink(missing_ok=True)
    return dataclasses.replace(dialogue, exchanges=(*dialogue.exchanges, kept))


def finish(dialogue: Dialogue, proposal: int) -> Dialogue:
    """Keep what it came to."""
    files.write_json(dialogue.folder / OUTCOME, {"proposal": proposal})
    return dataclasses.replace(dialogue, proposal=proposal)


class Partial:
    """Writes an answer down as it arrives, for whoever looks on; may be told from another thread."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._path = dialogue.folder / PARTIAL
        self._lock = threading.Lock()
        self.chars = 0
        self.clear()

    def __call__(self, text: str) -> None:
        """Raises `NotUnderstood` where an answer does not come to an end."""
        if self.chars > PARTIAL_LIMIT_CHARS:
            raise NotUnderstood(f"the answer has more than {PARTIAL_LIMIT_CHARS:,} characters; nobody reads that")
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(text)
            self.chars += len(text)

    def clear(self) -> None:
        """The answer begins anew."""
        with self._lock:
            self._path.write_bytes(b"")
            self.chars = 0


def _previous_json(previous: Any) -> dict[str, Any]:
    sources = {step.key: step.checker.source for step in previous.steps}
    return {**records.proposal_json(previous), "sources": sources}


def _header(value: dict[str, Any]) -> Header:
    fields = {name: value[name] for name in (field.name for field in dataclasses.fields(Header)) if name in value}
    brief = dict(fields["brief"])
    previous = brief["previous"]
    brief["previous"] = None if previous is None else records.draft(previous)
    brief["cases"] = tuple(Case(**case) for case in brief["cases"])
    width, height = brief["size"]
    brief["size"] = (int(width), int(height))
    built = Brief(**brief)
    if lacking := set(prompts.ABOUT) - set(built.prompts):
        raise ValueError(f"the prompt {min(lacking)!r} is missing")
    keys = [] if built.previous is None else [step.key for step in built.previous.steps]
    if built.repair and built.repair not in keys:
        raise ValueError(f"there is no checker {built.repair!r} to mend")
    return Header(**{**fields, "brief": built})


def _read_exchange(path: Path) -> Exchange:
    value = files.read_json(path)
    return files.parse(path, lambda: _exchange(value))


def _exchange(value: dict[str, Any]) -> Exchange:
    stage = str(value["stage"])
    if not STAGE.fullmatch(stage):
        raise ValueError(f"there is no question {stage[:40]!r}")
    return Exchange(
        stage=stage,
        attempt=int(value["attempt"]),
        messages=_messages(value["messages"]),
        reply=Reply(**value["reply"]),
        problem=str(value["problem"]),
        created=str(value["created"]),
    )


def _messages(values: Sequence[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(item["role"], str(item["text"]), tuple(item["pictures"])) for item in values)
