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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlmcar_core import files, prompts, questions, records, strict
from vlmcar_core.dialogue import Brief, Exchange, Question, Spent
from vlmcar_core.errors import ChangedElsewhere, DamagedFile, NotUnderstood
from vlmcar_core.reading import Misread
from vlmcar_core.store import DIALOGUES, Listing, Session, now
from vlmcar_core.types import Frame

DIALOGUE, PARTIAL, OUTCOME, TRUE = "dialogue.json", "partial.txt", "proposal.json", "frames"
WRITTEN = re.compile(r"[^.].*\..*", re.DOTALL)
STAGE = re.compile(r"goal|subtasks|check-[1-9][0-9]?|goal-check|repair")
EXCHANGE = re.compile(r"[0-9]{3}-[a-z0-9-]{1,40}\.json")
PICTURE = re.compile(r"[a-z0-9-]{1,40}\.png")
PARTIAL_LIMIT_CHARS = 1_000_000
PARTIAL_LIMIT_BYTES = 4 * PARTIAL_LIMIT_CHARS + 1024 * 1024
PICTURES_MAX = 64
PICTURE_LIMIT_BYTES = 32 * 1024 * 1024


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
class Outcome:
    """What a conversation came to."""

    proposal: int


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
        return max(path.lstat().st_mtime for path in (self.folder, *files.listed(self.folder, WRITTEN)))

    @property
    def pictures(self) -> dict[str, bytes]:
        """Name to PNG. Raises `DamagedFile`."""
        paths = files.listed(self.folder, PICTURE)
        if len(paths) > PICTURES_MAX:
            raise DamagedFile(
                f"dialogue {self.folder.name} holds {len(paths)} pictures; {PICTURES_MAX} are read at most"
            )
        return {path.name: files.check_png(files.read_bytes(path, PICTURE_LIMIT_BYTES), path.name) for path in paths}

    def frame(self, name: str) -> Frame:
        """ "initial" or "goal" in its true size, RGB uint8 (H, W, 3). Raises `DamagedFile`."""
        try:
            return files.read_png(files.folder(self.folder, TRUE) / f"{name}.png")
        except FileNotFoundError as error:
            raise DamagedFile(f"dialogue {self.folder.name} has no {name}.png in its true size") from error

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
        try:
            return files.read_bytes(self.folder / PARTIAL, PARTIAL_LIMIT_BYTES).decode(errors="ignore")
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
    try:
        value = files.read_json(path)
    except FileNotFoundError as error:
        raise DamagedFile(f"dialogue {folder.name} has no {DIALOGUE}; move the folder away") from error
    header = files.parse(path, lambda: _header(value))
    exchanges = tuple(_read_exchange(found) for found in files.listed(folder, EXCHANGE))
    try:
        questions.readings(exchanges)
    except Misread as error:
        raise DamagedFile(f"an answer of dialogue {folder.name} cannot be read any more ({error})") from error
    return Dialogue(folder, header, exchanges, _outcome(folder / OUTCOME))


def _outcome(path: Path) -> int | None:
    try:
        return files.read_as(Outcome, path).proposal
    except FileNotFoundError:
        return None


def dialogues(session: Session) -> Listing[Dialogue]:
    """All conversations of a session, by number."""
    items: list[Dialogue] = []
    try:
        folders, problems = session.dialogue_folders(), [*session.passed_over(DIALOGUES)]
    except DamagedFile as error:
        return Listing((), (str(error),))
    for folder in folders:
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
    files.remove(dialogue.folder / PARTIAL)
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
        with self._lock, files.appending(self._path) as file:
            file.write(text.encode(errors="replace"))
            self.chars += len(text)

    def clear(self) -> None:
        """The answer begins anew."""
        with self._lock:
            files.write_bytes(self._path, b"")
            self.chars = 0


def _previous_json(previous: Any) -> dict[str, Any]:
    sources = {step.key: step.checker.source for step in previous.steps}
    return {**records.proposal_json(previous), "sources": sources}


def _header(value: dict[str, Any]) -> Header:
    brief, previous = value["brief"], value["brief"]["previous"]
    draft = None if previous is None else records.draft(previous)
    built = strict.build(Header, {**_without_version(value), "brief": {**brief, "previous": draft}})
    if lacking := set(prompts.ABOUT) - set(built.brief.prompts):
        raise ValueError(f"the prompt {min(lacking)!r} is missing")
    keys = [] if built.brief.previous is None else [step.key for step in built.brief.previous.steps]
    if built.brief.repair and built.brief.repair not in keys:
        raise ValueError(f"there is no checker {built.brief.repair!r} to mend")
    return built


def _read_exchange(path: Path) -> Exchange:
    value = files.read_json(path)
    return files.parse(path, lambda: _exchange(value))


def _exchange(value: dict[str, Any]) -> Exchange:
    built = strict.build(Exchange, _without_version(value))
    if not STAGE.fullmatch(built.stage):
        raise ValueError(f"there is no question {built.stage[:40]!r}")
    return built


def _without_version(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if name != "version"}
