"""Proposals from a model, over a session: begin a conversation, carry it on, keep what it comes to.

The model may be on a server, a replay of recorded answers, or a person who pastes what a chat page answered.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from vlmcar_core import asking, dialogues, files, pictures, plugins, prices, prompts, questions, servers
from vlmcar_core.asking import Frames, Meter
from vlmcar_core.dialogue import Brief, Case, Question, Reply, Vlm
from vlmcar_core.dialogues import Dialogue, Header
from vlmcar_core.errors import BadInput
from vlmcar_core.pipeline import check_same_size
from vlmcar_core.progress import silent
from vlmcar_core.servers import Key, Server
from vlmcar_core.store import Session
from vlmcar_core.types import Frame, Progress, Proposal

HINT_LIMIT, ANSWER_LIMIT = 4000, 200_000


@dataclass(frozen=True)
class Wish:
    """What a person wants of a model."""

    server: Server
    vlm: str = "openai"
    """A file in `vlms/`."""

    hint: str = ""
    """What the two frames may not tell."""

    feedback: str = ""
    """What should change in `previous`."""

    previous: int | None = None
    """The proposal that this round starts from."""

    repair: str = ""
    """The key of the checker to mend; empty where a whole proposal is wanted."""

    group: str = ""
    candidate: bool = False
    """Keep what comes of it to be looked at, rather than to stand at once."""


def begin(
    session: Session, wish: Wish, cases: Sequence[Case] = (), case_pictures: Mapping[str, Frame] | None = None
) -> Dialogue:
    """Begin a conversation; nothing is asked yet.

    Raises:
        BadInput: a frame is missing, or the words are too long.
        UnknownName: there is no such way to ask, or no such proposal.
    """
    vlm = plugins.load("vlms", wish.vlm)
    for name, text in (("hint", wish.hint), ("feedback", wish.feedback)):
        if len(text) > HINT_LIMIT:
            raise BadInput(f"the {name} has {len(text):,} characters; at most {HINT_LIMIT:,} are sent")
    initial, goal = two_frames(session)
    texts = session_prompts(session)
    server = wish.server
    zoom = pictures.zoom_for(initial, server.side)
    brief = Brief(
        prompts=texts,
        size=(initial.shape[1], initial.shape[0]),
        zoom=round(zoom, 4),
        structured=server.structured == "auto" and wish.vlm == "openai",
        hint=wish.hint,
        feedback=wish.feedback,
        previous=None if wish.previous is None else session.proposal(wish.previous),
        repair=wish.repair,
        cases=tuple(cases),
        side_by_side=server.side_by_side,
        short=server.short,
        tries=server.tries,
    )
    kept = {} if vlm.BY_HAND or wish.vlm == "replay" else asdict(server)
    header = Header(
        brief, wish.vlm, kept, prompts.VERSION, prompts.digest(texts), group=wish.group, candidate=wish.candidate
    )
    shown = _shown(initial, goal, zoom, server.side_by_side)
    shown |= {name: files.png(picture) for name, picture in (case_pictures or {}).items()}
    return dialogues.begin(session, header, shown, {"initial": initial, "goal": goal})


def carry_on(
    session: Session,
    dialogue: Dialogue,
    server: Server,
    key: Key = Key(),
    meter: Meter | None = None,
    progress: Progress = silent,
) -> Proposal:
    """Ask what is not answered yet, and keep the proposal that it comes to.

    Args:
        dialogue: begun before; where it stopped at an answer that could not be used, that is asked for again.
        server: the installation's settings, never the conversation's own: it may be a stranger's.
        key: for that server.
        meter: what may be spent; without limit if None.
        progress: told how far it is.

    Raises:
        VlmError, BudgetSpent, Cancelled: as they say. The answers so far are kept.
    """
    dialogue = dialogues.read(dialogue.folder)
    if dialogue.proposal is not None:
        return session.proposal(dialogue.proposal)
    vlm = connect(session, dialogue.header.vlm, server, key)
    dialogue = dialogues.adapt(dialogue, tries=server.tries)
    done = asking.converse(dialogue, vlm, server, frames_of(dialogue), meter or Meter(), progress)
    return _finish(session, done)


def connect(session: Session, name: str, server: Server, key: Key) -> Vlm:
    """The model that answers. Raises `BadInput` where something is missing."""
    module = plugins.load("vlms", name)
    if module.BY_HAND:
        raise BadInput(f"{module.TITLE}: a person carries the questions; paste the answer instead")
    vlm: Vlm = module.connect(session, server, key, prices.load(session.folder.parent))
    return vlm


def answer_by_hand(session: Session, dialogue: Dialogue, text: str, model: str = "") -> Dialogue:
    """Take an answer that a person pasted, to the question that is due.

    Returns:
        The conversation with it; its `proposal` is there once it was the last one.

    Raises:
        BadInput: it is empty or too long, or nothing is asked any more.
    """
    from vlmcar_core.vlms import clipboard

    dialogue = dialogues.read(dialogue.folder)
    question = due(dialogue)
    if not text.strip():
        raise BadInput("the answer is empty; paste what the chat page answered")
    if len(text) > ANSWER_LIMIT:
        raise BadInput(f"the answer has {len(text):,} characters; at most {ANSWER_LIMIT:,} are read")
    signed = model.strip() or (dialogue.exchanges[-1].reply.model if dialogue.exchanges else clipboard.SIGNED)
    reply = Reply(text, signed, 0.0, prompt_tokens=0, answer_tokens=0, money=0.0)
    kept = asking.keep(dialogue, question, reply, frames_of(dialogue))
    if kept.exchanges[-1].problem or questions.next_question(kept.header.brief, kept.exchanges, kept.pictures):
        return kept
    _finish(session, kept)
    return dialogues.read(kept.folder)


def due(dialogue: Dialogue) -> Question:
    """The question that a person is to carry, as often as it takes. Raises `BadInput` where none is due."""
    said = dialogue.exchanges
    question = questions.next_question(dialogue.header.brief, said, dialogue.pictures, since=len(said))
    if question is None:
        raise BadInput(f"dialogue {dialogue.number} is answered throughout; begin another one")
    return question


def frames_of(dialogue: Dialogue) -> Frames:
    return Frames(dialogue.frame("initial"), dialogue.frame("goal"))


def two_frames(session: Session) -> tuple[Frame, Frame]:
    """Raises `BadInput` where one of the two is missing, or they differ in size."""
    initial, goal = session.initial, session.goal
    if initial is None or goal is None:
        lacking = "initial" if initial is None else "goal"
        raise BadInput(
            f"session {session.name!r} has no {lacking} frame yet; record an expert, upload a picture, "
            "or choose a frame of a recorded trajectory"
        )
    check_same_size(initial, goal, "goal.png")
    return initial, goal


def session_prompts(session: Session) -> dict[str, str]:
    """Every prompt by name, in the session's own wording where it has one.

    Raises:
        BadInput: its own wording cannot be used.
    """
    own = session.own_prompts()
    return prompts.shipped() | {name: prompts.check(name, text) for name, text in own.items()}


def set_prompt(session: Session, name: str, text: str | None) -> None:
    """Word a prompt differently in this session; None goes back to the shipped one. Raises `BadInput`."""
    if text is not None:
        text = prompts.check(name, text.replace("\r\n", "\n"))
    elif name not in prompts.ABOUT:
        prompts.check(name, "")
    session.set_own_prompt(name, None if text == prompts.shipped().get(name) else text)


def key_for(server: Server, typed: str = "") -> Key:
    return servers.key_for(server, typed)


def _shown(initial: Frame, goal: Frame, zoom: float, together: bool) -> dict[str, bytes]:
    one, two = pictures.scaled(initial, zoom), pictures.scaled(goal, zoom)
    if together:
        return {questions.BOTH: files.png(pictures.side_by_side(one, two))}
    return {questions.INITIAL: files.png(one), questions.GOAL_PICTURE: files.png(two)}


def _finish(session: Session, dialogue: Dialogue) -> Proposal:
    made = asking.proposal(dialogue, frames_of(dialogue))
    brief = dialogue.header.brief
    previous = brief.previous.number if brief.previous is not None else None
    stored = session.add_proposal(dataclasses.replace(made, parent=previous, reason=_reason(brief)))
    assert stored.number is not None
    dialogues.finish(dialogue, stored.number)
    return stored


def _reason(brief: Brief) -> str:
    if brief.repair:
        return f"mends {brief.repair}" + (f"; told: {brief.feedback.strip()}" if brief.feedback.strip() else "")
    if brief.feedback.strip():
        return f"next round; told: {brief.feedback.strip()}"
    return f"hint: {brief.hint.strip()}" if brief.hint.strip() else ""
